//! `/dev/shm` in this process's own memory, for the fuzzers: half of their time was the kernel's, which made, opened, mapped, locked and dropped
//! objects that one thread of one process uses.
//!
//! The linker puts `__wrap_NAME` where the library, the standard library or a target calls `NAME` of the C library, which is `__real_NAME` here
//! (`--wrap`, in the Makefile): so the library is the same as with the kernel's objects, which the fuzzers use where `VILLAS_SHM_FUZZ_KERNEL` is set,
//! and the replay of what is kept always. To the sanitizer, the pages of a mapping are forbidden but between `mmap` and `munmap`, and so is what lies
//! behind their end.
//!
//! What one process can see is modelled: names, descriptions, their locks and leases, and that a mapping keeps a description. A request that is not
//! ends the process. Threads take turns.

use std::ffi::{CStr, c_char, c_int};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use memory::{Memory, ROOM, View};

mod calls;
mod memory;

/// Descriptors from here on are of this module.
const FIRST: RawFd = 1 << 20;
const DIRECTORY: &[u8] = b"/dev/shm";
const PAGE: usize = 4096;
/// A device of none of the kernel's file systems.
const DEVICE: u64 = 0xff;

static IS_ON: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State {
    names: Vec::new(),
    objects: Vec::new(),
    descriptions: Vec::new(),
    descriptors: Vec::new(),
    spare: Vec::new(),
    last_number: 0,
});

/// Who all objects belong to.
static USER: AtomicU32 = AtomicU32::new(0);
static GROUP: AtomicU32 = AtomicU32::new(0);

/// What is opened by a name in `/dev/shm` from now on is of this module.
pub(crate) fn begin() {
    // SAFETY: takes nothing.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    USER.store(user, Relaxed);
    GROUP.store(group, Relaxed);
    IS_ON.store(std::env::var_os("VILLAS_SHM_FUZZ_KERNEL").is_none(), Relaxed);
}

type Errno = c_int;

struct State {
    names: Vec<(Vec<u8>, usize)>,
    objects: Vec<Option<Object>>,
    descriptions: Vec<Option<Description>>,
    /// Of which description.
    descriptors: Vec<Option<usize>>,
    spare: Vec<Memory>,
    last_number: u64,
}

struct Object {
    number: u64,
    mode: u32,
    size: usize,
    /// Bytes from the first on that have memory behind them, as far as the kernel would say.
    paid: usize,
    names: u32,
    descriptions: u32,
    memory: Option<Memory>,
    locks: Vec<Lock>,
}

/// An open file description.
struct Description {
    object: usize,
    /// Descriptors and mappings.
    uses: u32,
    flags: c_int,
}

struct Lock {
    owner: usize,
    first: u64,
    last: u64,
}

/// Puts a value where nothing is.
fn put<T>(slots: &mut Vec<Option<T>>, value: T) -> usize {
    let at = slots.iter().position(Option::is_none).unwrap_or(slots.len());
    if at == slots.len() {
        slots.push(None);
    }
    slots[at] = Some(value);
    at
}

impl Object {
    fn memory(&mut self, least: usize, spare: &mut Vec<Memory>) -> Result<&mut Memory, Errno> {
        if self.memory.is_none() {
            let found = spare.iter().rposition(|memory| memory.room >= least);
            self.memory = Some(match found {
                Some(at) => spare.swap_remove(at),
                None => Memory::new(least.max(1))?,
            });
        }
        self.memory.as_mut().filter(|memory| memory.room >= least).ok_or(libc::ENOSPC)
    }

    fn resize(&mut self, size: usize, spare: &mut Vec<Memory>) -> Result<(), Errno> {
        let (last, paid) = (self.size, self.paid);
        let memory = self.memory(size, spare)?;
        memory.clear(size, last.max(paid));
        self.paid = paid.min(size.next_multiple_of(PAGE));
        self.size = size;
        Ok(())
    }

    fn pay(&mut self, from: usize, to: usize) {
        if from <= self.paid {
            self.paid = self.paid.max(to.next_multiple_of(PAGE));
        }
    }

    fn find_lock(&self, owner: usize, first: u64, last: u64) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.owner != owner && lock.first <= last && first <= lock.last)
    }

    fn unlock(&mut self, owner: usize, first: u64, last: u64) {
        self.locks.retain(|lock| {
            let (begins, ends) = (lock.first >= first, lock.last <= last);
            let is_outside = lock.owner != owner || lock.first > last || lock.last < first;
            assert!(is_outside || begins && ends, "a part of a locked range is unlocked");
            is_outside
        });
    }

    fn status(&self) -> libc::stat {
        // SAFETY: integers, for which zero is valid.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        status.st_dev = DEVICE;
        status.st_ino = self.number;
        status.st_nlink = self.names.into();
        status.st_mode = libc::S_IFREG | self.mode;
        (status.st_uid, status.st_gid) = (USER.load(Relaxed), GROUP.load(Relaxed));
        status.st_size = self.size as i64;
        status.st_blksize = PAGE as i64;
        status.st_blocks = (self.paid / 512) as i64;
        status
    }
}

impl State {
    fn named(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, object)| *object)
    }

    fn description(&self, fd: RawFd) -> Result<usize, Errno> {
        self.descriptors.get((fd - FIRST) as usize).copied().flatten().ok_or(libc::EBADF)
    }

    fn object(&mut self, at: usize) -> &mut Object {
        self.objects[at].as_mut().expect("somebody uses it")
    }

    fn object_of(&mut self, fd: RawFd) -> Result<(&mut Object, usize, &mut Vec<Memory>), Errno> {
        let description = self.description(fd)?;
        let at = self.descriptions[description].as_ref().expect("a descriptor uses it").object;
        Ok((self.objects[at].as_mut().expect("a description uses it"), description, &mut self.spare))
    }

    fn make(&mut self, mode: u32) -> usize {
        self.last_number += 1;
        let object = Object {
            number: self.last_number,
            mode: mode & 0o777,
            size: 0,
            paid: 0,
            names: 0,
            descriptions: 0,
            memory: None,
            locks: Vec::new(),
        };
        put(&mut self.objects, object)
    }

    fn name(&mut self, name: &[u8], object: usize) {
        self.names.push((name.to_vec(), object));
        self.object(object).names += 1;
    }

    fn open(&mut self, path: &[u8], flags: c_int, mode: u32) -> Result<RawFd, Errno> {
        let object = if path == DIRECTORY {
            assert!(flags & libc::O_TMPFILE == libc::O_TMPFILE, "the directory itself");
            self.make(mode)
        } else {
            let name = &path[DIRECTORY.len() + 1..];
            match self.named(name) {
                Some(_) if flags & libc::O_EXCL != 0 => return Err(libc::EEXIST),
                Some(object) => object,
                None if flags & libc::O_CREAT == 0 => return Err(libc::ENOENT),
                None => {
                    let object = self.make(mode);
                    self.name(name, object);
                    object
                }
            }
        };
        self.object(object).descriptions += 1;
        let description = put(&mut self.descriptions, Description { object, uses: 1, flags });
        Ok(FIRST + put(&mut self.descriptors, description) as RawFd)
    }

    /// A descriptor or a mapping of it is gone.
    fn release(&mut self, description: usize) {
        let uses = self.descriptions[description].as_mut().expect("it was used");
        uses.uses -= 1;
        if uses.uses == 0 {
            let at = uses.object;
            self.descriptions[description] = None;
            let object = self.object(at);
            object.locks.retain(|lock| lock.owner != description);
            object.descriptions -= 1;
            self.bury(at);
        }
    }

    /// Drops an object that nobody can reach any more.
    fn bury(&mut self, at: usize) {
        let object = self.object(at);
        if object.names + object.descriptions > 0 {
            return;
        }
        let memory = object.memory.take();
        let used = object.size.max(object.paid);
        self.objects[at] = None;
        if let Some(memory) = memory.filter(|memory| memory.room == ROOM) {
            memory.clear(0, used.min(ROOM));
            self.spare.push(memory);
        }
    }

    fn unlink(&mut self, name: &[u8]) -> Result<(), Errno> {
        let at = self.names.iter().position(|(known, _)| known == name).ok_or(libc::ENOENT)?;
        let (_, object) = self.names.swap_remove(at);
        self.object(object).names -= 1;
        self.bury(object);
        Ok(())
    }

    fn close(&mut self, fd: RawFd) -> Result<c_int, Errno> {
        let description = self.description(fd)?;
        self.descriptors[(fd - FIRST) as usize] = None;
        self.release(description);
        Ok(0)
    }

    fn link(&mut self, fd: RawFd, name: &[u8]) -> Result<c_int, Errno> {
        let description = self.description(fd)?;
        if self.named(name).is_some() {
            return Err(libc::EEXIST);
        }
        let object = self.descriptions[description].as_ref().expect("a descriptor uses it").object;
        self.name(name, object);
        Ok(0)
    }

    fn status_at(&mut self, name: &[u8]) -> Result<libc::stat, Errno> {
        let object = self.named(name).ok_or(libc::ENOENT)?;
        Ok(self.object(object).status())
    }

    fn status_of(&mut self, fd: RawFd) -> Result<libc::stat, Errno> {
        self.object_of(fd).map(|(object, ..)| object.status())
    }

    fn allocate(&mut self, fd: RawFd, from: usize, to: usize) -> Result<(), Errno> {
        let (object, _, spare) = self.object_of(fd)?;
        if object.size < to {
            object.resize(to, spare)?;
        }
        object.pay(from, to);
        Ok(())
    }

    fn resize(&mut self, fd: RawFd, size: usize) -> Result<c_int, Errno> {
        let (object, _, spare) = self.object_of(fd)?;
        object.resize(size, spare).map(|()| 0)
    }

    /// Where the object's bytes from `from` on are, and how many there are.
    fn bytes(&mut self, fd: RawFd, from: usize) -> Result<(*mut u8, usize), Errno> {
        let (object, _, spare) = self.object_of(fd)?;
        let from = from.min(object.size);
        let left = object.size - from;
        Ok((object.memory(0, spare)?.base.wrapping_add(from), left))
    }

    fn map(&mut self, fd: RawFd, length: usize, access: c_int) -> Result<*mut u8, Errno> {
        let (object, description, spare) = self.object_of(fd)?;
        let view = object.memory(length, spare)?.view(length, access, description);
        self.descriptions[description].as_mut().expect("a descriptor uses it").uses += 1;
        Ok(view)
    }

    /// `false`: it is none of this module's.
    fn unmap(&mut self, at: *mut u8, length: usize) -> bool {
        let memories = self.objects.iter_mut().flatten().filter_map(|object| object.memory.as_mut());
        let views = memories.flat_map(|memory| &mut memory.views);
        let found = views.filter(|view| view.at == at).find_map(|view: &mut View| view.end(length));
        found.map(|description| self.release(description)).is_some()
    }

    fn control(&mut self, fd: RawFd, command: c_int, argument: usize) -> Result<c_int, Errno> {
        const SET_SIGNAL: c_int = 10;
        let (object, description, _) = self.object_of(fd)?;
        match command {
            libc::F_GETFD => Ok(libc::FD_CLOEXEC),
            libc::F_GETFL => Ok(self.descriptions[description].as_ref().expect("it is used").flags),
            SET_SIGNAL => Ok(0),
            libc::F_SETLEASE if argument as c_int == libc::F_UNLCK => Ok(0),
            libc::F_SETLEASE => {
                if object.descriptions == 1 {
                    Ok(0)
                } else {
                    Err(libc::EAGAIN)
                }
            }
            libc::F_DUPFD_CLOEXEC => {
                self.descriptions[description].as_mut().expect("it is used").uses += 1;
                Ok(FIRST + put(&mut self.descriptors, description) as RawFd)
            }
            libc::F_OFD_SETLK | libc::F_OFD_GETLK => {
                // SAFETY: these commands come with a range, which is the caller's.
                let range = unsafe { &mut *(argument as *mut libc::flock) };
                let first = range.l_start as u64;
                let last = if range.l_len == 0 { u64::MAX } else { first + (range.l_len as u64 - 1) };
                let found = object.find_lock(description, first, last).map(|lock| (lock.first, lock.last));
                match (command, c_int::from(range.l_type)) {
                    (libc::F_OFD_SETLK, libc::F_UNLCK) => object.unlock(description, first, last),
                    (libc::F_OFD_SETLK, libc::F_WRLCK) if found.is_none() => {
                        object.unlock(description, first, last);
                        object.locks.push(Lock { owner: description, first, last });
                    }
                    (libc::F_OFD_SETLK, libc::F_WRLCK) => return Err(libc::EAGAIN),
                    (libc::F_OFD_GETLK, libc::F_WRLCK) => match found {
                        None => range.l_type = libc::F_UNLCK as libc::c_short,
                        Some((first, last)) => {
                            range.l_start = first as libc::off_t;
                            range.l_len = if last == u64::MAX { 0 } else { (last - first + 1) as libc::off_t };
                        }
                    },
                    (_, kind) => panic!("a lock of kind {kind}"),
                }
                Ok(0)
            }
            _ => panic!("fcntl {command}"),
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().expect("it does not panic")
}

/// A path in `/dev/shm`, or that itself.
///
/// # Safety
/// `path` is a text that ends, and is not used longer than that.
unsafe fn ours<'p>(path: *const c_char) -> Option<&'p [u8]> {
    if !IS_ON.load(Relaxed) {
        return None;
    }
    // SAFETY: as the caller promises.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    let rest = path.strip_prefix(DIRECTORY)?;
    (rest.is_empty() || rest[0] == b'/').then_some(path)
}

fn name(path: &[u8]) -> &[u8] {
    path.get(DIRECTORY.len() + 1..).unwrap_or_default()
}

/// As the C library returns it.
fn returned(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(|errno| {
        // SAFETY: this thread's own.
        unsafe { *libc::__errno_location() = errno };
        -1
    })
}
