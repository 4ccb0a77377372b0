//! The report, or standard output, cannot be written.

use super::*;

on_each_database! {
    fn a_report_folder_that_cannot_be_written_costs_the_file_not_the_report(env) {
        env.insert([Task::new(1)]);
        // Root may write anywhere, save beneath a regular file.
        env.write("blocked", "a file");
        env.config("[stats]\nreports_dir = \"blocked/daily\"\n");
        let finished = env.taskmon(["stats", "--date", DAY]).exits(1);
        finished.stderr();
        let report = finished.json();
        assert_eq!(report["success"], true);
        assert_eq!(report["task_statistics"]["total_tasks"], 1);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].to_string().contains("blocked"), "{errors:?}");
        assert_eq!(env.read("blocked"), "a file");
    }

    fn a_closed_pipe_ends_the_run_quietly(env) {
        assert!(!env.taskmon(STATS).success().stdout().is_empty());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = env.taskmon(STATS).command();
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }

    fn head_takes_one_byte_and_nothing_is_printed_on_standard_error(env) {
        let script = format!("taskmon stats --date {DAY} --no-save | head -c1");
        let finished = env.program("sh", ["-c", &script]).success();
        assert_eq!(finished.stdout(), "{");
    }

    fn a_full_disk_behind_standard_output_is_a_failure(env) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = env.taskmon(STATS).command();
        let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let spoken = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(spoken.contains("standard output") || spoken.contains("stdout"), "{spoken}");
        assert!(!spoken.contains("panicked"), "{spoken}");
    }
}
