//! A small Debian of the test's own, which `scripts/test.sh` has made once and each test unpacks: the package is installed there for real, and the crons
//! that this system has not are run there.

use crate::support::env::{TestEnv, clock, variable};
use crate::support::run::Run;
use std::path::PathBuf;

/// Where the binary of the tests is in it.
pub const BINARY: &str = "/usr/local/bin/taskmon";

pub struct Debian(TestEnv);

impl Debian {
    /// As it was unpacked.
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests run in a Debian of their own (chroot), which takes root"
        );
        let env = TestEnv::new();
        std::fs::create_dir(env.path("root")).unwrap();
        let archive = variable("TASKMON_TEST_DEBIAN");
        env.program("tar", ["-xf", &archive, "-C", "root"]).success();
        if let Some((_, library)) = clock() {
            let inside = env.path(format!("root{}", library.display()));
            std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
            std::fs::copy(library, inside).unwrap();
        }
        // cronie keeps a copy there of what root puts in, and complains where it cannot.
        std::fs::create_dir(env.path("root/root/.cache")).unwrap();
        // Others than root look into it.
        env.program("chmod", ["755", "."]).success();
        Self(env)
    }

    /// With the binary of the tests in it.
    pub fn with_taskmon() -> Self {
        let debian = Self::new();
        debian.write(BINARY, "");
        debian
    }

    /// A path of this system for one of that.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.0.path(format!("root{inside}"))
    }

    pub fn write(&self, inside: &str, text: &str) {
        self.0.write(&format!("root{inside}"), text);
    }

    pub fn read(&self, inside: &str) -> String {
        self.0.read(format!("root{inside}"))
    }

    /// A shell's script as root, in namespaces whose processes and mounts end with it.
    pub fn shell(&self, script: &str) -> Run<'_> {
        let enter = format!(
            "mount --bind /dev root/dev && mount -t proc proc root/proc && mount -t tmpfs none root/run &&
             if [ -e root{BINARY} ]; then mount --bind {} root{BINARY}; fi && exec chroot root env HOME=/root sh -c \"$SCRIPT\"",
            env!("CARGO_BIN_EXE_taskmon")
        );
        let words = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &enter];
        self.0.program("unshare", words).env("SCRIPT", script)
    }

    /// What a script prints that succeeds and says nothing on standard error.
    #[track_caller]
    pub fn printed(&self, script: &str) -> String {
        self.shell(script).success().stdout().to_owned()
    }
}
