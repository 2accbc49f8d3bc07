//! Kernel objects: POSIX message queues, pipes, Unix sockets that preserve message boundaries.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socketpair, sockopt};
use std::ffi::c_void;
use std::io::Error;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use villas_shm_measure::capi::c_name;
use villas_shm_measure::contender::{Transport, fill, sum};
use villas_shm_measure::rig::{Side, fail};

/// The most messages in one call.
const MOST: usize = 64;

/// The kind of a kernel object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MessageQueue,
    Pipe,
    Socket,
}

/// Messages of `W` words through two descriptors.
pub(crate) struct Kernel<const W: usize> {
    kind: Kind,
    /// A call that cannot proceed sleeps. Otherwise it is repeated, which is the fastest use of a
    /// kernel object.
    sleeps: bool,
    /// Made before the fork: to the program and back, each a reading and a writing descriptor.
    pairs: Option<[(OwnedFd, OwnedFd); 2]>,
    out: RawFd,
    back: RawFd,
    /// Never moved or grown, because `parts` points to it.
    items: Vec<[u64; W]>,
    /// For a socket with batches: one part for each item, made at the open.
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

/// The longest message that a message queue may have on this system; 0: there are no message
/// queues.
pub(crate) fn longest_queued() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/fs/mqueue/msgsize_max").ok();
    limit.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn longest_queue() -> i64 {
    let limit = std::fs::read_to_string("/proc/sys/fs/mqueue/msg_max").ok();
    limit.and_then(|text| text.trim().parse().ok()).unwrap_or(10)
}

impl<const W: usize> Kernel<W> {
    /// Must be called before the fork.
    pub(crate) fn new(kind: Kind, sleeps: bool, batch: usize) -> Result<Self, String> {
        let make = || match kind {
            Kind::MessageQueue => Ok(None),
            Kind::Pipe => nix::unistd::pipe().map(Some),
            Kind::Socket => socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).map(Some),
        };
        let both = || Ok::<_, nix::Error>(make()?.zip(make()?).map(|(to, back)| [to, back]));
        let pairs = both().map_err(|error| format!("{kind:?}: {error}"))?;
        let items = vec![[0; W]; batch.min(MOST)];
        Ok(Kernel { kind, sleeps, pairs, out: -1, back: -1, items, parts: Vec::new(), headers: Vec::new() })
    }

    fn open_queue(&self, name: &str, way: libc::c_int) -> Result<RawFd, String> {
        let name = c_name(&format!("/{name}"));
        // SAFETY: zero is a value of a struct of integers.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = longest_queue();
        attributes.mq_msgsize = (8 * W) as i64;
        let flags = way | libc::O_CREAT | if self.sleeps { 0 } else { libc::O_NONBLOCK };
        // SAFETY: a C string and a struct that live through the call.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut attributes) };
        if queue < 0 { Err(format!("mq_open {name:?}: {}", Error::last_os_error())) } else { Ok(queue) }
    }

    /// Bytes that a call sent or received; 0: try again.
    #[inline(always)]
    fn done(&self, call: &str, gave: isize) -> usize {
        if gave >= 0 {
            return gave as usize;
        }
        let error = Error::last_os_error();
        if error.raw_os_error() == Some(libc::EAGAIN) && !self.sleeps {
            return 0;
        }
        fail(&format!("{call}: {error}"))
    }

    fn write(&mut self, from: usize, count: usize) -> usize {
        let at: *const c_void = self.items[from..count].as_ptr().cast();
        let bytes = 8 * W * (count - from);
        // SAFETY: an open descriptor, and as many messages as is said.
        let gave = unsafe {
            match self.kind {
                Kind::MessageQueue if libc::mq_send(self.out, at.cast(), 8 * W, 0) == 0 => 8 * W as isize,
                Kind::MessageQueue => -1,
                Kind::Pipe => libc::write(self.out, at, bytes),
                Kind::Socket if count == 1 => libc::send(self.out, at, 8 * W, 0),
                Kind::Socket => return self.write_packets(from, count),
            }
        };
        self.done("write", gave)
    }

    fn write_packets(&mut self, from: usize, count: usize) -> usize {
        let headers = &mut self.headers[from..count];
        // SAFETY: an open socket, and as many headers as is said, each with one part.
        let sent = unsafe { libc::sendmmsg(self.out, headers.as_mut_ptr(), headers.len() as u32, 0) };
        self.done("sendmmsg", sent as isize) * 8 * W
    }

    /// Makes the headers for calls with many packets. The calls change only lengths and flags in
    /// them.
    fn make_headers(&mut self) {
        let part = |item: &mut [u64; W]| libc::iovec { iov_base: item.as_mut_ptr().cast(), iov_len: 8 * W };
        self.parts = self.items.iter_mut().map(part).collect();
        let header = |part: &mut libc::iovec| {
            // SAFETY: zero is a value of a struct of integers and pointers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header
        };
        self.headers = self.parts.iter_mut().map(header).collect();
    }

    /// Reads messages; returns how many; 0: try again.
    fn read(&mut self, most: usize) -> usize {
        let at: *mut c_void = self.items.as_mut_ptr().cast();
        // SAFETY: an open descriptor, and room for as many messages as is said.
        let gave = unsafe {
            match self.kind {
                Kind::MessageQueue => libc::mq_receive(self.back, at.cast(), 8 * W, std::ptr::null_mut()),
                Kind::Pipe => libc::read(self.back, at, 8 * W * most),
                Kind::Socket if most == 1 => libc::recv(self.back, at, 8 * W, 0),
                Kind::Socket => {
                    let flags = if self.sleeps { libc::MSG_WAITFORONE } else { 0 };
                    let came = libc::recvmmsg(self.back, self.headers.as_mut_ptr(), most as u32, flags, std::ptr::null_mut());
                    return self.done("recvmmsg", came as isize);
                }
            }
        };
        let mut bytes = self.done("read", gave);
        // A read from a pipe may end within a message.
        while !bytes.is_multiple_of(8 * W) {
            // SAFETY: an open pipe, and room for the rest of the message that has begun.
            let gave = unsafe { libc::read(self.back, at.cast::<u8>().add(bytes).cast(), 8 * W - bytes % (8 * W)) };
            bytes += self.done("read", gave);
        }
        bytes / (8 * W)
    }
}

impl<const W: usize> Transport for Kernel<W> {
    fn name(&self) -> String {
        let what = match self.kind {
            Kind::MessageQueue => "POSIX mq",
            Kind::Pipe => "pipe",
            Kind::Socket => "Unix seqpacket",
        };
        format!("{what}, {}", if self.sleeps { "blocking" } else { "polling" })
    }

    fn words(&self) -> u64 {
        W as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        if self.kind == Kind::Socket {
            self.make_headers();
        }
        if let Some([to, back]) = &self.pairs {
            // A pipe's first end reads and its second end writes. Of a socket pair each process has
            // one end, which does both.
            let (reads, writes) = if side == Side::Node { (back, to) } else { (to, back) };
            (self.back, self.out) = (reads.0.as_raw_fd(), writes.1.as_raw_fd());
            for end in [&to.0, &to.1, &back.0, &back.1] {
                let flags = if self.sleeps { OFlag::empty() } else { OFlag::O_NONBLOCK };
                fcntl(end, FcntlArg::F_SETFL(flags)).map_err(|error| format!("O_NONBLOCK: {error}"))?;
            }
            return Ok(());
        }
        let names = [format!("{name}-out"), format!("{name}-in")];
        let (out, back) = if side == Side::Node { (&names[0], &names[1]) } else { (&names[1], &names[0]) };
        self.out = self.open_queue(out, libc::O_WRONLY)?;
        self.back = self.open_queue(back, libc::O_RDONLY)?;
        Ok(())
    }

    fn close(&mut self) {
        if self.kind == Kind::MessageQueue {
            for queue in [self.out, self.back] {
                // SAFETY: an open queue, which is not used again.
                unsafe { libc::mq_close(queue) };
            }
        }
    }

    fn unlink(&mut self, name: &str) {
        if self.kind == Kind::MessageQueue {
            for way in ["out", "in"] {
                // SAFETY: a C string.
                unsafe { libc::mq_unlink(c_name(&format!("/{name}-{way}")).as_ptr()) };
            }
        }
    }

    fn memory(&self) -> Option<u64> {
        let Some([to, _]) = &self.pairs else { return Some(2 * longest_queue() as u64 * 8 * W as u64) };
        let one = match self.kind {
            Kind::Pipe => fcntl(&to.0, FcntlArg::F_GETPIPE_SZ).unwrap_or(0) as u64,
            _ => getsockopt(&to.0, sockopt::SndBuf).unwrap_or(0) as u64,
        };
        Some(2 * one)
    }

    fn send(&mut self, first: u64, count: usize) {
        for (item, number) in self.items[..count].iter_mut().zip(first..) {
            // SAFETY: an array of `W` words.
            unsafe { fill(item.as_mut_ptr(), W, number) };
        }
        let mut sent = 0;
        while sent < count {
            let mut bytes = self.write(sent, count);
            // A pipe may accept a part of a message.
            while !bytes.is_multiple_of(8 * W) {
                let (at, rest) = (sent * 8 * W + bytes, 8 * W - bytes % (8 * W));
                // SAFETY: an open pipe, and the rest of the message that has begun.
                let gave = unsafe { libc::write(self.out, self.items.as_ptr().cast::<u8>().add(at).cast(), rest) };
                bytes += self.done("write", gave);
            }
            sent += bytes / (8 * W);
        }
    }

    fn receive(&mut self, _first: u64, most: usize) -> (usize, u64) {
        let most = most.min(self.items.len());
        let taken = loop {
            match self.read(most) {
                0 => {}
                taken => break taken,
            }
        };
        // SAFETY: arrays of `W` words.
        let total = self.items[..taken].iter().map(|item| unsafe { sum(item.as_ptr(), W) }).fold(0, u64::wrapping_add);
        (taken, total)
    }
}
