//! Processors, load and memory of the machine, for the daily report.
//!
//! What cannot be read is `null`, never 0: a report that says "no memory used" would be believed.

use crate::units;
use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};
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
        cpu_count: asked("processors", KernelStats::current()).and_then(|stats| processors(&stats)),
        load_average: asked("load", LoadAverage::current())
            .map(|load| [load.one, load.five, load.fifteen].map(|mean| units::round2(mean.into()))),
        memory: asked("memory", Meminfo::current())
            .and_then(|info| memory(info.mem_total, info.mem_available)),
    }
}

/// What the kernel answered; a refusal is logged, since the report only has room for `null`.
fn asked<T>(what: &str, answer: procfs::ProcResult<T>) -> Option<T> {
    answer.inspect_err(|error| log::warn!("the machine's {what} cannot be read: {error}")).ok()
}

fn processors(stats: &KernelStats) -> Option<usize> {
    Some(stats.cpu_time.len()).filter(|&count| count > 0)
}

/// Bytes to figures. Kernels before 3.14 do not say what is available, and any estimate from the other lines counts
/// caches wrongly.
fn memory(total: u64, available: Option<u64>) -> Option<Memory> {
    let available = available.filter(|_| total > 0)?;
    let used = total.saturating_sub(available);
    Some(Memory {
        total_gb: units::gib(total),
        used_gb: units::gib(used),
        usage_percent: units::percent(used, total),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::{FromBufReadSI, FromRead};

    #[test]
    fn used_memory_is_what_is_not_available() {
        let info = Meminfo::from_read(
            "MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 6291456 kB\nBuffers: 0 kB\nCached: 5242880 kB\n\
             SwapCached: 0 kB\nActive: 0 kB\nInactive: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nDirty: 0 kB\nWriteback: 0 kB\n\
             Mapped: 0 kB\nSlab: 0 kB\nCommitted_AS: 0 kB\nVmallocTotal: 0 kB\nVmallocUsed: 0 kB\nVmallocChunk: 0 kB\n"
                .as_bytes(),
        )
        .unwrap();
        assert_eq!(
            memory(info.mem_total, info.mem_available),
            Some(Memory { total_gb: 8.0, used_gb: 2.0, usage_percent: 25.0 })
        );
    }

    #[test]
    fn what_the_kernel_does_not_say_is_unknown_and_not_0() {
        assert_eq!(memory(8 << 30, None), None);
        assert_eq!(memory(0, Some(0)), None);
        let usage = ResourceUsage { cpu_count: None, load_average: None, memory: None };
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"cpu_count":null,"load_average":null,"memory":null}"#
        );
    }

    #[test]
    fn more_available_than_there_is_counts_as_none_used() {
        assert_eq!(memory(1 << 30, Some(2 << 30)).unwrap().used_gb, 0.0);
    }

    #[test]
    fn each_processor_counts_once_and_their_sum_not_at_all() {
        let stat = "cpu  8 0 6 0 0 0 0 0 0 0\ncpu0 4 0 3 0 0 0 0 0 0 0\ncpu2 4 0 3 0 0 0 0 0 0 0\n\
                    ctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n";
        let stats = KernelStats::from_buf_read(stat.as_bytes(), &procfs::LocalSystemInfo).unwrap();
        assert_eq!(processors(&stats), Some(2));
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
