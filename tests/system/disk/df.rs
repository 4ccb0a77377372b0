//! The figures of `df`, and that they are the same.

use super::*;
use std::time::{Duration, Instant};

/// A line of `df`, in bytes and inodes.
#[derive(Debug, PartialEq)]
struct Df {
    size: u64,
    used: u64,
    free: u64,
    /// Rounded up.
    percent: Option<u64>,
    files: u64,
    files_used: u64,
    files_free: u64,
    files_percent: Option<u64>,
    fs_type: String,
    device: String,
    mount: String,
}

fn df_columns(columns: &str, path: &Path) -> String {
    let all = output(
        Command::new("df")
            .env("LC_ALL", "C.UTF-8")
            .args(["-B1", &format!("--output={columns}")])
            .arg(path),
    );
    let (_, line) = all.split_once('\n').expect("a heading");
    line.trim_end_matches('\n').to_owned()
}

fn df(path: &Path) -> Df {
    let line = df_columns("size,used,avail,pcent,itotal,iused,iavail,ipcent,fstype", path);
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(fields.len(), 9, "{line}");
    // A dash: the file system does not have it.
    let number = |index: usize| match fields[index].trim_end_matches('%') {
        "-" => None,
        digits => Some(digits.parse::<u64>().unwrap()),
    };
    let count = |index| number(index).unwrap_or(0);
    Df {
        size: count(0),
        used: count(1),
        free: count(2),
        percent: number(3),
        files: count(4),
        files_used: count(5),
        files_free: count(6),
        files_percent: number(7),
        fs_type: fields[8].to_owned(),
        device: df_columns("source", path),
        mount: df_columns("target", path),
    }
}

/// `above / below`, times `scale`, to 2 decimals.
fn to_hundredths(above: u64, scale: u128, below: u128) -> f64 {
    if below == 0 {
        return 0.0;
    }
    let doubled = u128::from(above) * scale * 200 / below;
    doubled.div_ceil(2) as f64 / 100.0
}

fn assert_equal_to_df(disk: &Disk, df: &Df) {
    let gb = |bytes| to_hundredths(bytes, 1, 1 << 30);
    assert_eq!(disk.mount.as_ref(), Some(&df.mount));
    assert_eq!(disk.device.as_ref(), Some(&df.device));
    assert_eq!(disk.fs_type.as_ref(), Some(&df.fs_type));
    assert_eq!(disk.total_gb, gb(df.size), "{df:?}");
    assert_eq!(disk.used_gb, gb(df.used), "{df:?}");
    assert_eq!(disk.free_gb, gb(df.free), "{df:?}");
    let space = u128::from(df.used) + u128::from(df.free);
    assert_eq!(disk.usage_percent, to_hundredths(df.used, 100, space), "{df:?}");
    let files = u128::from(df.files_used) + u128::from(df.files_free);
    // What can only be read, and what another program makes up, is not compared.
    let counts = df.files > 0 && !disk.read_only && !df.fs_type.starts_with("fuse");
    let expected = counts.then(|| to_hundredths(df.files_used, 100, files));
    assert_eq!(disk.inodes_usage_percent, expected, "{df:?}");
    // What `df` rounds up, this rounds to hundredths.
    for (ours, shown) in
        [(Some(disk.usage_percent), df.percent), (disk.inodes_usage_percent, df.files_percent)]
    {
        if let (Some(ours), Some(shown)) = (ours, shown) {
            let lead = shown as f64 - ours;
            assert!((-0.005..=1.0).contains(&lead), "{ours} is not df's {shown}");
        }
    }
}

/// Compares between two readings of `df` that agree; others may be writing.
pub fn compare_with_df(path: &Path) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(90) {
        let before = df(path);
        let disk = only(path);
        if before == df(path) {
            return assert_equal_to_df(&disk, &before);
        }
    }
    panic!("{} never had the same figures twice", path.display());
}

#[test]
fn every_mount_that_df_lists_has_the_figures_of_df() {
    // It may complain about a mount that even root may not enter, and leaves that out.
    let all = Command::new("df").arg("--output=target").output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    let mounts: Vec<&str> = all.lines().skip(1).collect();
    assert!(mounts.contains(&"/"), "{mounts:?}");
    for mount in mounts {
        compare_with_df(Path::new(mount));
    }
    // What `df` leaves out of its list it still measures when asked.
    compare_with_df(Path::new("/etc/passwd"));
    compare_with_df(std::env::current_exe().unwrap().parent().unwrap());
}
