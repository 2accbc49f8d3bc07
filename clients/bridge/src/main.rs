//! `villas-shm-bridge`: a channel goes on over Zenoh, on other machines.
//!
//! One way is `publish.rs`, the other `receive.rs`; `run.rs` opens, supervises and ends. What is on
//! the wire stands in `protobuf.rs` and `attachment.rs`.

#![deny(unsafe_code)]
// They panic if the reader has left.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod announce;
mod arrivals;
mod attachment;
mod batch;
mod cli;
mod engine;
mod format;
mod protobuf;
mod publish;
mod queue;
mod reason;
mod receive;
mod run;
mod stats;

use std::process::ExitCode;

use clap::Parser;
use villas_shm_node::events;
use villas_shm_node::log::{self, log};

fn main() -> ExitCode {
    events::start_from_defaults();
    log::begin("villas-shm-bridge", log::to_stderr);
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // If the terminal is gone, there is no way to report it.
            let _ = message.print();
            return ExitCode::from(u8::from(message.use_stderr()));
        }
    };
    log::set_level(cli.debug);
    if std::env::var_os("RUST_LOG").is_some() {
        // Zenoh's own way to do this prints where the statistics go.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    } else {
        reason::listen();
    }
    match run::run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            log!(Error, "{message}");
            ExitCode::FAILURE
        }
    }
}
