//! Taking processes the time that they would compute in.

use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};

/// The core that they have to share with others.
const ONE: &str = "0";
/// How many others: what is left to them is little.
const SPINNERS: usize = 4;

/// Processes that have one core together, and that core is busy. Dropped, it is busy no more.
#[derive(Debug)]
pub struct Burners {
    victims: Vec<u32>,
    spinners: Vec<Child>,
}

impl Burners {
    /// Takes these processes their time.
    ///
    /// # Errors
    /// When they can't be kept to one core.
    pub fn start(victims: Vec<u32>) -> Result<Self> {
        let mut burners = Self { victims, spinners: Vec::new() };
        burners.keep_to(ONE)?;
        for _ in 0..SPINNERS {
            let mut spinner = Command::new("taskset");
            spinner.args(["--cpu-list", ONE, "sh", "-c", "while :; do :; done"]);
            burners.spinners.push(spinner.stdin(Stdio::null()).spawn()?);
        }
        Ok(burners)
    }

    /// Gives them back what they had.
    ///
    /// # Errors
    /// When they can't be let go.
    pub fn stop(mut self) -> Result<()> {
        self.end_spinners();
        let cores = std::thread::available_parallelism()?;
        self.keep_to(&format!("0-{}", cores.get() - 1))
    }

    fn keep_to(&self, cores: &str) -> Result<()> {
        for victim in &self.victims {
            let mut command = Command::new("taskset");
            command.args(["--all-tasks", "--cpu-list", "--pid", cores, &victim.to_string()]);
            let output = command.output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn end_spinners(&mut self) {
        for spinner in &mut self.spinners {
            // One that has ended needs no end.
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
        self.spinners.clear();
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.end_spinners();
    }
}
