//! The machine on which the figures were measured.

use std::fs;

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_string())
}

/// One sentence without a full stop: processor, system, and load.
pub(crate) fn description(cpus: [usize; 2]) -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| info.lines().find(|line| line.starts_with(key)).and_then(|line| line.split(": ").nth(1));
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    let model = value("model name").unwrap_or("a processor without a name").to_string();
    let family = value("cpu family")
        .zip(value("model\t"))
        .map_or(String::new(), |(family, number)| format!(" (family {family}, model {number})"));
    let kind = if info.contains(" hypervisor") { "virtual processors" } else { "processors" };
    let release = first_line("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.split(['-', '+']).next().unwrap_or_default().to_string();
    let load = first_line("/proc/loadavg").and_then(|line| line.split(' ').next().map(String::from)).unwrap_or_default();
    format!(
        "{count} {kind} of {model}{family}, Linux {release}, processes on {} and {}, load {load} when it began",
        cpus[0], cpus[1]
    )
}
