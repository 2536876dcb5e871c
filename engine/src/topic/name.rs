//! What a topic may be called.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::TOPIC_NAME_MAX;

/// Refuses a name that is not 1 to 249 of `[A-Za-z0-9._-]`, or is `.` or `..`.
pub(crate) fn check(name: &str) -> Result<()> {
    let refuse = |why: String| {
        let allowed = format!("1 to {TOPIC_NAME_MAX} of letters, digits, '.', '_' and '-', and not \".\" or \"..\"");
        Err(Error::new(ErrorKind::InvalidArgument, format!("topic name {why}; allowed are {allowed}")))
    };
    if name.is_empty() {
        return refuse("is empty".into());
    }
    if name.len() > TOPIC_NAME_MAX {
        return refuse(format!("is {} bytes long", name.len()));
    }
    if name == "." || name == ".." {
        return refuse(format!("is {name:?}"));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(c) => refuse(format!("{name:?} contains {c:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_their_limits() {
        for name in ["a", "A-b_c.9", "...", ".a", &"x".repeat(249)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            let error = check(name).expect_err("outside the rule");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("249"), "{error}");
        }
    }
}
