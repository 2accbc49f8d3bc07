//! Creating, opening, and many channels at once.

use crate::capi::{api, failed, last_error};
use std::ffi::{CString, c_void};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use villas_shm_measure::Times;
use villas_shm_measure::capi::c_name;
use villas_shm_measure::clock::now_ns;
use villas_shm_measure::contender::Contender;
use villas_shm_measure::functions::Conf;
use villas_shm_measure::rig::{Run, Side, fail};

pub(crate) fn conf(polling: bool) -> Conf {
    Conf { polling: polling.into(), size: size_of::<Conf>(), ..Conf::default() }
}

pub(crate) fn create(name: &CString, conf: &Conf) -> *mut c_void {
    // SAFETY: a C string and a struct that live through the call.
    let shm = unsafe { (api().shmem_shared_create)(name.as_ptr(), conf) };
    if shm.is_null() {
        fail(&format!("shmem_shared_create: {}", last_error()));
    }
    shm
}

fn open(name: &CString) -> (*mut c_void, *mut c_void) {
    let mut base = null_mut();
    // SAFETY: a C string and a pointer that live through the call.
    let shm = unsafe { (api().shmem_shared_open)(name.as_ptr(), &mut base) };
    if shm.is_null() {
        fail(&format!("shmem_shared_open: {}", last_error()));
    }
    (shm, base)
}

pub(crate) fn close(shm: *mut c_void, base: *mut c_void) {
    // SAFETY: an open channel, which is not used again.
    let gave = unsafe { (api().shmem_shared_close)(shm, base) };
    if gave != 0 {
        failed("shmem_shared_close", gave.into());
    }
}

pub(crate) fn unlink(name: &CString) {
    // SAFETY: a C string.
    let gave = unsafe { (api().shmem_shared_unlink)(name.as_ptr()) };
    if gave != 0 {
        failed("shmem_shared_unlink", gave.into());
    }
}

/// Creates an object of this many bytes by bare system calls. Like a region, it appears under its
/// name only when its memory is allocated.
fn bare_create(name: &str, bytes: u64) {
    let check = |what: &str, is_good: bool| {
        if !is_good {
            fail(&format!("{what}: {}", std::io::Error::last_os_error()));
        }
    };
    let path = c_name(&format!("/dev/shm/{name}"));
    // SAFETY: C strings that live through the calls, a mapping that is unmapped here, and a
    // descriptor that is closed here.
    unsafe {
        let fd = libc::open(c"/dev/shm".as_ptr(), libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC, 0o600);
        check("O_TMPFILE", fd >= 0);
        check("posix_fallocate", libc::posix_fallocate(fd, 0, bytes as i64) == 0);
        touch(fd, bytes, 1);
        let link = c_name(&format!("/proc/self/fd/{fd}"));
        let linked = libc::linkat(libc::AT_FDCWD, link.as_ptr(), libc::AT_FDCWD, path.as_ptr(), libc::AT_SYMLINK_FOLLOW);
        check("linkat", linked == 0);
        libc::close(fd);
    }
}

/// Maps an object, writes a byte, unmaps it.
fn touch(fd: i32, bytes: u64, byte: u8) {
    // SAFETY: a new mapping of at least one byte, unmapped here.
    unsafe {
        let at = libc::mmap(null_mut(), bytes as usize, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0);
        if at == libc::MAP_FAILED {
            fail(&format!("mmap: {}", std::io::Error::last_os_error()));
        }
        at.cast::<u8>().write_volatile(byte);
        libc::munmap(at, bytes as usize);
    }
}

/// The repeated step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    BareCreate,
    Create,
    BareOpen,
    Open,
}

/// A contender that repeats one step.
pub(crate) struct Life {
    step: Step,
    name: String,
    side: Side,
    /// The node's channel, open while the program opens and closes.
    shm: *mut c_void,
    /// Bytes of the default region.
    bytes: u64,
}

impl Life {
    pub(crate) fn boxed(step: Step) -> Box<dyn Contender> {
        Box::new(Life { step, name: String::new(), side: Side::Node, shm: null_mut(), bytes: 0 })
    }

    fn is_opening(&self) -> bool {
        matches!(self.step, Step::BareOpen | Step::Open)
    }

    fn once(&self, text: &CString) {
        match self.step {
            Step::BareCreate => {
                bare_create(&self.name, self.bytes);
                let _ = std::fs::remove_file(format!("/dev/shm/{}", self.name));
            }
            Step::Create => {
                let shm = create(text, &conf(false));
                close(shm, null_mut());
                unlink(text);
            }
            Step::BareOpen => {
                let file = std::fs::OpenOptions::new().read(true).write(true).open(format!("/dev/shm/{}", self.name));
                let file = file.unwrap_or_else(|error| fail(&format!("open: {error}")));
                let bytes = file.metadata().map_or(0, |data| data.len());
                touch(file.as_raw_fd(), bytes, 2);
            }
            Step::Open => {
                let (shm, base) = open(text);
                close(shm, base);
            }
        }
    }
}

impl Contender for Life {
    fn name(&self) -> String {
        match self.step {
            Step::BareCreate => "bare calls: allocate, map, link, unmap, unlink",
            Step::Create => "villas-shm: create, close, unlink, default region",
            Step::BareOpen => "bare calls: open, map, unmap",
            Step::Open => "villas-shm: the program's open and close",
        }
        .into()
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        (self.name, self.side) = (name.into(), side);
        if side == Side::Node {
            let text = c_name(name);
            self.shm = create(&text, &conf(false));
            self.bytes = villas_shm_measure::rig::bytes_of(name);
            if !self.is_opening() || self.step == Step::BareOpen {
                close(self.shm, null_mut());
                unlink(&text);
            }
            if self.step == Step::BareOpen {
                bare_create(name, self.bytes);
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.side == Side::Node && self.step == Step::Open {
            close(self.shm, null_mut());
        }
        if self.side == Side::Node && self.is_opening() {
            let _ = std::fs::remove_file(format!("/dev/shm/{}", self.name));
        }
    }

    fn memory(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn node(&mut self, run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        if self.is_opening() {
            run.await_program();
            return run.note() as f64;
        }
        let (text, from) = (c_name(&self.name), now_ns());
        (0..count).for_each(|_| self.once(&text));
        (now_ns() - from) as f64
    }

    fn program(&mut self, run: &Run, count: u64) {
        if self.is_opening() {
            let (text, from) = (c_name(&self.name), now_ns());
            (0..count).for_each(|_| self.once(&text));
            run.set_note(now_ns() - from);
        }
    }
}

/// The figures of many channels open at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scale {
    pub(crate) channels: usize,
    pub(crate) create_ns: f64,
    pub(crate) open_ns: f64,
    pub(crate) descriptors: f64,
    /// Bytes of the node's private memory.
    pub(crate) private_bytes: f64,
    pub(crate) region_bytes: f64,
}

/// `channels` channels of the default size except for a short queue, so that a thousand fit into a
/// small `/dev/shm`. One item.
pub(crate) struct Many {
    channels: usize,
    name: String,
}

impl Many {
    pub(crate) fn boxed(channels: usize) -> Box<dyn Contender> {
        Box::new(Many { channels, name: String::new() })
    }

    fn names(&self) -> Vec<CString> {
        (0..self.channels).map(|number| c_name(&format!("{}-{number}", self.name))).collect()
    }
}

fn descriptors() -> f64 {
    std::fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64)
}

/// Bytes of resident memory that map no file.
fn private_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

/// The node's figures of the last run, passed through the note: each is an integer.
static LAST: std::sync::Mutex<Option<Scale>> = std::sync::Mutex::new(None);

/// The figures of the last run of a [`Many`].
pub(crate) fn last_scale() -> Scale {
    LAST.lock().ok().and_then(|mut last| last.take()).unwrap_or_default()
}

impl Contender for Many {
    fn name(&self) -> String {
        format!("{} channels", self.channels)
    }

    fn open(&mut self, _side: Side, name: &str) -> Result<(), String> {
        self.name = name.into();
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most).map_err(|error| error.to_string())
    }

    fn close(&mut self) {}

    fn node(&mut self, run: &Run, _count: u64, _times: Option<&mut Times>) -> f64 {
        let names = self.names();
        let conf = Conf { queuelen: 16, spare: 16, ..conf(false) };
        run.set_note(0);
        let (had, held, from) = (descriptors(), private_bytes(), now_ns());
        let open: Vec<*mut c_void> = names.iter().map(|name| create(name, &conf)).collect();
        let create_ns = (now_ns() - from) as f64;
        let count = self.channels as f64;
        let mut scale = Scale {
            channels: self.channels,
            create_ns: create_ns / count,
            descriptors: (descriptors() - had) / count,
            private_bytes: (private_bytes() - held).max(0.0) / count,
            region_bytes: villas_shm_measure::rig::bytes_of(&self.name) as f64 / count,
            open_ns: 0.0,
        };
        run.set_note(1);
        run.await_program();
        scale.open_ns = run.note() as f64 / count;
        for (shm, name) in open.into_iter().zip(&names) {
            close(shm, null_mut());
            unlink(name);
        }
        if let Ok(mut last) = LAST.lock() {
            *last = Some(scale);
        }
        create_ns
    }

    fn program(&mut self, run: &Run, _count: u64) {
        let names = self.names();
        while run.note() != 1 {
            std::hint::spin_loop();
        }
        let from = now_ns();
        let open: Vec<_> = names.iter().map(open).collect();
        run.set_note(now_ns() - from);
        for (shm, base) in open {
            close(shm, base);
        }
    }
}
