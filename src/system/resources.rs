//! Processors, load and memory of the machine, for the daily report.
//!
//! What cannot be read is `null`, never 0: a report that says "no memory used" would be believed.

use crate::units;
use serde::Serialize;

/// `system_statistics.resource_usage` of the daily report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResourceUsage {
    /// The processors that are online, whatever share of them this process may use: the load counts the whole machine too.
    pub cpu_count: Option<usize>,
    /// Over the last 1, 5 and 15 minutes, 2 decimals.
    pub load_average: Option<[f64; 3]>,
    pub memory: Option<Memory>,
}

/// The machine's memory; GB are 1024³ bytes, 2 decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    pub total_gb: f64,
    /// What programs could not get now: the total less what the kernel calls available, so caches do not count as used.
    pub used_gb: f64,
    pub usage_percent: f64,
}

/// Asks the kernel (`/proc/stat`, `/proc/loadavg`, `/proc/meminfo`).
pub fn read() -> ResourceUsage {
    ResourceUsage {
        cpu_count: parse_file("/proc/stat", count_processors),
        load_average: parse_file("/proc/loadavg", parse_load),
        memory: parse_file("/proc/meminfo", parse_memory),
    }
}

/// What the kernel says in one of its files; a refusal is logged, since the report only has room for `null`.
fn parse_file<T>(path: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
    let text = std::fs::read_to_string(path)
        .inspect_err(|error| log::warn!("{path} cannot be read: {error}"))
        .ok()?;
    parse(&text)
}

/// One line `cpu0 …` for each processor; the line `cpu …` is their sum.
fn count_processors(stat: &str) -> Option<usize> {
    let numbers = stat.lines().filter_map(|line| line.strip_prefix("cpu"));
    let count = numbers.filter(|rest| rest.starts_with(|next: char| next.is_ascii_digit())).count();
    (count > 0).then_some(count)
}

/// `0.40 0.30 0.20 1/123 4567`
fn parse_load(loadavg: &str) -> Option<[f64; 3]> {
    let mut means = loadavg.split_whitespace().map(|mean| mean.parse().ok().map(units::round2));
    Some([means.next()??, means.next()??, means.next()??])
}

fn parse_memory(meminfo: &str) -> Option<Memory> {
    let bytes = |key: &str| -> Option<u64> {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    memory(bytes("MemTotal")?, bytes("MemAvailable")?)
}

/// Bytes to figures. Kernels before 3.14 do not say what is available, and any estimate from the other lines counts
/// caches wrongly.
fn memory(total: u64, available: u64) -> Option<Memory> {
    let used = total.saturating_sub(available);
    (total > 0).then(|| Memory {
        total_gb: units::gib(total),
        used_gb: units::gib(used),
        usage_percent: units::percent(used, total),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_memory_is_what_is_not_available() {
        let info = "MemTotal:        8388608 kB\nMemFree:         1048576 kB\nMemAvailable:    6291456 kB\n\
                    Buffers:               0 kB\nCached:          5242880 kB\n";
        assert_eq!(
            parse_memory(info),
            Some(Memory { total_gb: 8.0, used_gb: 2.0, usage_percent: 25.0 })
        );
    }

    #[test]
    fn what_the_kernel_does_not_say_is_unknown_and_not_0() {
        for info in [
            "",
            "MemTotal:  8388608 kB\nMemFree:  1048576 kB\n",
            "MemTotal:  8388608 kB\nMemAvailable:\n",
            "MemTotal:  0 kB\nMemAvailable:  0 kB\n",
        ] {
            assert_eq!(parse_memory(info), None, "{info:?}");
        }
        assert_eq!(parse_load("0.40 0.30"), None);
        assert_eq!(parse_load("0.40 0.30 x"), None);
        assert_eq!(count_processors("ctxt 1\n"), None);
        let usage = ResourceUsage { cpu_count: None, load_average: None, memory: None };
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"cpu_count":null,"load_average":null,"memory":null}"#
        );
    }

    #[test]
    fn more_available_than_there_is_counts_as_none_used() {
        assert_eq!(memory(1 << 30, 2 << 30).unwrap().used_gb, 0.0);
    }

    #[test]
    fn the_load_is_the_first_three_numbers() {
        assert_eq!(parse_load("0.40 0.30 12.25 1/123 4567\n"), Some([0.4, 0.3, 12.25]));
    }

    #[test]
    fn each_processor_counts_once_and_their_sum_not_at_all() {
        let stat = "cpu  8 0 6 0 0 0 0 0 0 0\ncpu0 4 0 3 0 0 0 0 0 0 0\ncpu2 4 0 3 0 0 0 0 0 0 0\n\
                    intr 5 0\nctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n";
        assert_eq!(count_processors(stat), Some(2));
    }

    #[test]
    fn this_machine_is_read_as_its_own_tools_read_it() {
        let usage = read();
        let online =
            std::process::Command::new("getconf").arg("_NPROCESSORS_ONLN").output().unwrap();
        let online: usize = String::from_utf8(online.stdout).unwrap().trim().parse().unwrap();
        assert_eq!(usage.cpu_count, Some(online));

        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = meminfo.lines().find(|line| line.starts_with("MemTotal:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let memory = usage.memory.unwrap();
        assert!((memory.total_gb - kib / 1024.0 / 1024.0).abs() <= 0.005);
        assert!(memory.used_gb > 0.0 && memory.used_gb < memory.total_gb);
        assert!(
            (memory.usage_percent - memory.used_gb / memory.total_gb * 100.0).abs() < 1.0,
            "{memory:?}"
        );
        let load = usage.load_average.unwrap();
        assert!(load.iter().all(|mean| *mean >= 0.0 && *mean == units::round2(*mean)));
    }

    #[test]
    fn the_keys_stand_in_the_order_of_the_interface() {
        let usage = ResourceUsage {
            cpu_count: Some(2),
            load_average: Some([0.4, 0.3, 0.2]),
            memory: Some(Memory { total_gb: 23.0, used_gb: 3.1, usage_percent: 13.5 }),
        };
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"cpu_count":2,"load_average":[0.4,0.3,0.2],"memory":{"total_gb":23.0,"used_gb":3.1,"usage_percent":13.5}}"#
        );
    }
}
