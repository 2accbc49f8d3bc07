//! Channels of one region.

mod liveness;
mod open;

pub(crate) use open::{Native, create, create_fd, open, open_fd, recreate_fd, timed_open, unlink};
