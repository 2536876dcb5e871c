//! A process of its own for each measurement: its memory and its processor time are its own, and it can be killed.

use std::process::{Command, Stdio};

use crate::error::Result;
use crate::measured::Measured;
use crate::plan::Plan;
use crate::{interrupt, peers, workloads};

/// What starts this program again, with a plan.
pub(crate) fn command(name: &str, plan: &Plan) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).arg(serde_json::to_string(plan)?);
    Ok(command)
}

/// Measures in another process.
pub(crate) fn measure(plan: &Plan) -> Result<Measured> {
    interrupt::check()?;
    let output = command("measure", plan)?.stderr(Stdio::inherit()).output()?;
    interrupt::check()?;
    if !output.status.success() {
        let name = plan.case.name(plan.workload);
        let who = plan.peer.as_deref().map(|peer| format!("{peer}, ")).unwrap_or_default();
        return Err(
            format!("{who}{}, {name}: the measurement ended with {}", plan.workload.as_str(), output.status).into()
        );
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Is that other process.
pub(crate) fn run(name: &str, plan: &str) -> Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    if name == "fill" {
        return workloads::fill_to_be_reopened(&plan);
    }
    let outcome = match &plan.peer {
        Some(peer) => peers::run(peer, &plan)?,
        None => workloads::run(&plan)?,
    };
    println!("{}", serde_json::to_string(&Measured::new(plan, outcome))?);
    Ok(())
}
