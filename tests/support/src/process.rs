//! A child process that a test owns: its output goes to files, its use of the machine is read from
//! `/proc`, and it ends with the value, by its own process id.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Lines of output that a failure shows.
const TAIL_LINES: usize = 40;
/// How long a killed process may take to go.
const END: Duration = Duration::from_secs(30);

/// What a process uses of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is resident now.
    pub rss_bytes: u64,
    /// The most memory that was resident at any time.
    pub peak_rss_bytes: u64,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Open file descriptors.
    pub open_files: usize,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// What the process with this id uses of the machine now.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(process: u32) -> Result<Self> {
        let proc = PathBuf::from(format!("/proc/{process}"));
        let status = fs::read_to_string(proc.join("status"))?;
        Ok(Self {
            rss_bytes: field(&status, "VmRSS:")? * 1024,
            peak_rss_bytes: field(&status, "VmHWM:")? * 1024,
            threads: field(&status, "Threads:")?,
            cpu: cpu_time(&fs::read_to_string(proc.join("stat"))?)?,
            open_files: fs::read_dir(proc.join("fd"))?.count(),
        })
    }
}

/// What a child reads from its standard input.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Nothing.
    Empty,
    /// A file.
    File(&'a Path),
    /// Nothing, but without an end until [`Process::end_input`].
    Open,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `folder`, as `{name}.out` and `{name}.err`. What an earlier
    /// process of that name left there is kept; this one's output follows.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(
        command: &mut Command,
        input: Input<'_>,
        folder: &Path,
        name: &str,
    ) -> Result<Self> {
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        let append = |path: &Path| File::options().create(true).append(true).open(path);
        command.stdin(match input {
            Input::Empty => Stdio::null(),
            Input::File(path) => File::open(path)?.into(),
            Input::Open => Stdio::piped(),
        });
        command.stdout(append(&stdout)?).stderr(append(&stderr)?);
        let child = command
            .spawn()
            .with_context(|| format!("can't start {}", command.get_program().display()))?;
        Ok(Self { child, stdout, stderr })
    }

    /// The operating system's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends its standard input, if that was [`Input::Open`].
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When it runs on for longer than `most`.
    pub fn wait(&mut self, most: Duration) -> Result<ExitStatus> {
        let what = format!("end of process {}", self.id());
        wait::until(&what, most, || self.ended()).with_context(|| self.tail())
    }

    /// Kills it without a chance to do anything (SIGKILL) and waits until it has gone.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill9(&mut self) -> Result<()> {
        if self.ended().is_none() {
            self.child.kill()?;
        }
        self.wait(END)?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("process id 0")?, signal)?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it runs on for longer than `most`.
    pub fn terminate(&mut self, most: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(most)
    }

    /// What it uses of the machine now.
    ///
    /// # Errors
    /// When the process has gone.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id()).with_context(|| self.tail())
    }

    /// All that it printed on standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// All that it printed on standard error.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// The last lines of its output, for the message of a failure.
    pub fn tail(&self) -> String {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        };
        format!("its output ends with\n{}\n{}", tail(&self.stdout()), tail(&self.stderr()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing sensible is left to do about a failure here; the operating system reaps it later.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {name} in the process's status"))?.parse()?)
}

/// User and system time out of `/proc/{pid}/stat`, which counts in ticks of 10 ms.
fn cpu_time(stat: &str) -> Result<Duration> {
    let (_, fields) = stat.rsplit_once(')').context("no name in the process's stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> {
        Ok(fields.get(index).context("the process's stat is short")?.parse()?)
    };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        Process::start(Command::new("sh").args(["-c", script]), Input::Empty, folder, "sh").unwrap()
    }

    #[test]
    fn output_and_exit_code_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo out; echo err >&2; exit 3", folder.path());
        assert_eq!(process.wait(END).unwrap().code(), Some(3));
        assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("out\n", "err\n"));
        assert!(process.tail().contains("err"));
    }

    #[test]
    fn usage_is_read_from_a_running_process() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("exec tail -f /dev/null", folder.path());
        let usage = process.usage().unwrap();
        assert!(usage.rss_bytes > 0 && usage.rss_bytes <= usage.peak_rss_bytes, "{usage:?}");
        assert!(usage.open_files >= 3 && usage.threads == 1, "{usage:?}");
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("exec tail -f /dev/null", folder.path());
        let proc = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(proc.exists());
        drop(process);
        assert!(!proc.exists());
    }

    #[test]
    fn ticks_follow_a_name_with_spaces_and_brackets() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_time(stat).unwrap(), Duration::from_secs(2));
    }
}
