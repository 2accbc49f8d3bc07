//! Which processes have which object mapped, from `/proc/PID/maps`.

use std::collections::HashMap;
use std::fs;

/// The initial pid namespace's number, in every kernel: from there all processes are seen.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
/// How the kernel calls a System V segment that is mapped; its key follows.
const SYSTEM_V: &str = "/SYSV";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
}

/// All processes that have something mapped which is shared memory.
pub(crate) struct Processes {
    /// By device and inode.
    objects: HashMap<(u64, u64), Vec<u32>>,
    /// By number.
    segments: HashMap<i32, Vec<u32>>,
    are_complete: bool,
}

impl Processes {
    /// As if nobody had anything mapped, for tests.
    #[allow(dead_code)]
    pub(crate) fn none() -> Processes {
        Processes { objects: HashMap::new(), segments: HashMap::new(), are_complete: true }
    }

    pub(super) fn now() -> Processes {
        use std::os::unix::fs::MetadataExt;
        let directory = crate::sys::object::directory();
        let device = fs::metadata(directory).map_or(0, |data| data.dev());
        let namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |data| data.ino());
        let mut all =
            Processes { objects: HashMap::new(), segments: HashMap::new(), are_complete: namespace == INITIAL_PID_NAMESPACE };
        let Ok(entries) = fs::read_dir("/proc") else {
            all.are_complete = false;
            return all;
        };
        for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()) {
            match fs::read(format!("/proc/{pid}/maps")) {
                Ok(maps) => all.add(pid, &String::from_utf8_lossy(&maps), device),
                // A process that has ended meanwhile has nothing mapped.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
                Err(_) => all.are_complete = false,
            }
        }
        all
    }

    fn add(&mut self, pid: u32, maps: &str, device: u64) {
        for line in maps.lines() {
            // ADDRESSES PERMISSIONS OFFSET MAJOR:MINOR INODE PATH
            let mut fields = line.split_ascii_whitespace().skip(3);
            let (Some(on), Some(inode)) = (fields.next(), fields.next()) else { continue };
            let (Some((major, minor)), Ok(inode)) = (on.split_once(':'), inode.parse::<u64>()) else { continue };
            let (Ok(major), Ok(minor)) = (u32::from_str_radix(major, 16), u32::from_str_radix(minor, 16)) else { continue };
            let mapped_by = if libc::makedev(major, minor) == device {
                self.objects.entry((device, inode)).or_default()
            } else if major == 0 && fields.next().is_some_and(|path| path.starts_with(SYSTEM_V)) {
                self.segments.entry(inode as i32).or_default()
            } else {
                continue;
            };
            if mapped_by.last() != Some(&pid) {
                mapped_by.push(pid);
            }
        }
    }

    pub(super) fn are_complete(&self) -> bool {
        self.are_complete
    }

    /// Those that have the object mapped.
    pub(super) fn of_object(&self, identity: (u64, u64)) -> Vec<Process> {
        named(self.objects.get(&identity))
    }

    /// Those that have the System V segment attached.
    pub(super) fn of_segment(&self, id: i32) -> Vec<Process> {
        named(self.segments.get(&id))
    }
}

fn named(pids: Option<&Vec<u32>>) -> Vec<Process> {
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_string();
    let mut processes: Vec<_> = pids.into_iter().flatten().map(|&pid| Process { pid, program: name(pid) }).collect();
    processes.sort_by_key(|process| process.pid);
    processes
}
