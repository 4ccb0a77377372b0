use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(taskmon::run::run(std::env::args_os()))
}
