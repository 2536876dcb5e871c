//! How the model checker is run: bounded, and with one guard taken away.

use super::{Guard, weakened};

/// Set in a child process that is to run a test without a guard.
const CHILD: &str = "THALWEG_LOOM_CHILD";

/// Walks `test` through every order of its steps that needs no more than `preemptions` involuntary switches.
pub(crate) fn model(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let start = std::time::Instant::now();
    builder.check(test);
    println!("walked through in {:.1?}", start.elapsed());
}

/// Requires that `test`, which passes with all guards, fails without this one. In a child process, for a model that
/// ends in a deadlock cannot be unwound.
pub(crate) fn fails_without(name: &str, guard: Guard, preemptions: usize, test: fn()) {
    if std::env::var_os(CHILD).is_some() {
        return weakened(guard, || model(preemptions, test));
    }
    let (_crate, name) = name.split_once("::").expect("a test's path begins with its crate");
    let child = std::process::Command::new(std::env::current_exe().expect("a running test has a program"))
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the program can be run again");
    let said = String::from_utf8_lossy(&child.stderr);
    let found =
        ["deadlock", "ausality violation", "oncurrent", "assertion", "panicked"].iter().any(|word| said.contains(word));
    assert!(!child.status.success() && found, "without {guard:?} the model must fail; it said: {said}");
    assert!(!said.contains("Model exceeded"), "the model must not merely be too large: {said}");
    println!("{}", said.lines().take(3).collect::<Vec<_>>().join("\n"));
}

/// A test that `$test` fails without `$guard`.
macro_rules! needs {
    ($name:ident: $test:ident without $guard:ident, $preemptions:expr) => {
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            $crate::sync::model::fails_without(name, $crate::sync::Guard::$guard, $preemptions, $test);
        }
    };
}
pub(crate) use needs;
