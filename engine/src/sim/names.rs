//! The directory tree of a simulated disk: entries are volatile until their directory is synced.

use std::collections::{BTreeMap, BTreeSet};

use super::rng::Rng;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    File(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Create { path: String, node: Node },
    Remove { path: String },
    Rename { from: String, to: String },
}

impl Step {
    fn paths(&self) -> [&str; 2] {
        match self {
            Step::Create { path, .. } | Step::Remove { path } => [path, path],
            Step::Rename { from, to } => [from, to],
        }
    }

    /// The directory whose sync makes the step durable. Every file system that the engine supports makes a rename
    /// durable with either directory; demanding the one it went to is the stricter reading.
    fn directory(&self) -> &str {
        parent(self.paths()[1])
    }

    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Step::Create { path, node } => {
                let directory = parent(path);
                if directory.is_empty() || names.get(directory) == Some(&Node::Directory) {
                    names.insert(path.clone(), *node);
                }
            }
            Step::Remove { path } => {
                names.remove(path);
            }
            Step::Rename { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// The part of a path before its last name; `""` is the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The names as programs see them, as power loss leaves them, and the steps between.
#[derive(Default)]
pub(crate) struct Names {
    visible: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<Step>,
}

impl Names {
    pub(crate) fn get(&self, path: &str) -> Option<Node> {
        if path.is_empty() { Some(Node::Directory) } else { self.visible.get(path).copied() }
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        self.get(path) == Some(Node::Directory)
    }

    /// Names directly in a directory, sorted.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let inside = self.visible.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        inside.filter_map(|(path, _)| path.get(prefix.len()..)).filter(|n| !n.contains('/')).map(String::from).collect()
    }

    pub(crate) fn create(&mut self, path: &str, node: Node) {
        self.step(Step::Create { path: path.into(), node });
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.step(Step::Remove { path: path.into() });
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.step(Step::Rename { from: from.into(), to: to.into() });
    }

    fn step(&mut self, step: Step) {
        step.apply(&mut self.visible);
        self.pending.push(step);
    }

    /// Makes the steps in a directory durable, and those of its names that they build on.
    pub(crate) fn sync(&mut self, directory: &str) {
        let chosen: Vec<bool> = self.pending.iter().map(|s| s.directory() == directory).collect();
        let kept = self.with_causes(chosen);
        self.settle(&kept, false);
    }

    /// Whether a power cut could change a name.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Power is cut. A journalling file system keeps a prefix of the steps; others any steps whose names do not
    /// build on a lost one.
    pub(crate) fn cut_power(&mut self, rng: &mut Rng) {
        let count = self.pending.len();
        let kept: Vec<bool> = if rng.one_in(2) {
            let end = rng.index(count + 1);
            (0..count).map(|i| i < end).collect()
        } else {
            let mut lost: BTreeSet<String> = BTreeSet::new();
            let mut kept = Vec::with_capacity(count);
            for step in &self.pending {
                let keep = rng.one_in(2) && !step.paths().iter().any(|p| lost.contains(*p));
                if !keep {
                    lost.extend(step.paths().map(String::from));
                }
                kept.push(keep);
            }
            kept
        };
        self.settle(&kept, true);
        self.visible = self.durable.clone();
    }

    /// Adds the earlier steps that touch a chosen step's names, or make its directory.
    fn with_causes(&self, mut chosen: Vec<bool>) -> Vec<bool> {
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        for (i, step) in self.pending.iter().enumerate().rev() {
            let paths = step.paths();
            chosen[i] |= paths.iter().any(|p| needed.contains(p));
            if chosen[i] {
                needed.extend(paths);
                needed.extend(paths.map(parent));
            }
        }
        chosen
    }

    fn settle(&mut self, kept: &[bool], drop_others: bool) {
        let mut rest = Vec::new();
        for (step, keep) in core::mem::take(&mut self.pending).into_iter().zip(kept) {
            if *keep {
                step.apply(&mut self.durable);
            } else if !drop_others {
                rest.push(step);
            }
        }
        self.pending = rest;
    }

    /// Files that a name stands for, now or after some power cut.
    pub(crate) fn files(&self) -> BTreeSet<u64> {
        let file = |node: &Node| if let Node::File(inode) = node { Some(*inode) } else { None };
        let mut files: BTreeSet<u64> = self.visible.values().chain(self.durable.values()).filter_map(file).collect();
        files.extend(self.pending.iter().filter_map(|step| match step {
            Step::Create { node, .. } => file(node),
            _ => None,
        }));
        files
    }

    /// Visible files with their paths, in order of their paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, u64)> {
        self.visible.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.as_str(), *inode)),
            Node::Directory => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_listed_by_directory() {
        let mut names = Names::default();
        names.create("a", Node::Directory);
        names.create("a/x", Node::File(1));
        names.create("a/b", Node::Directory);
        names.create("a/b/y", Node::File(2));
        names.create("ab", Node::File(3));
        assert_eq!(names.list(""), ["a", "ab"]);
        assert_eq!(names.list("a"), ["b", "x"]);
        assert_eq!(names.list("a/b"), ["y"]);
    }

    #[test]
    fn entries_survive_a_power_cut_once_their_directory_was_synced() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..100 {
            let mut names = Names::default();
            names.create("d", Node::Directory);
            names.sync("");
            names.create("d/a", Node::File(1));
            names.sync("d");
            names.create("d/b", Node::File(2));
            names.cut_power(&mut Rng::new(seed));
            assert_eq!(names.get("d/a"), Some(Node::File(1)));
            assert!(names.is_settled());
            if names.get("d/b").is_some() { kept += 1 } else { lost += 1 }
        }
        assert!(kept > 10 && lost > 10);
    }

    #[test]
    fn a_renamed_file_has_one_of_its_names() {
        for seed in 0..100 {
            let mut names = Names::default();
            for directory in ["p", "s"] {
                names.create(directory, Node::Directory);
            }
            names.create("p/a", Node::File(1));
            names.sync("");
            names.sync("p");
            names.rename("p/a", "s/b");
            names.sync("p");
            names.create("p/a", Node::File(2));
            names.cut_power(&mut Rng::new(seed));
            let first = [names.get("p/a"), names.get("s/b")].iter().filter(|n| **n == Some(Node::File(1))).count();
            assert_eq!(first, 1);
        }
    }

    #[test]
    fn a_lost_directory_takes_its_entries_along() {
        for seed in 0..100 {
            let mut names = Names::default();
            names.create("d", Node::Directory);
            names.create("d/a", Node::File(1));
            names.sync("d");
            names.cut_power(&mut Rng::new(seed));
            assert!(names.is_directory("d") && names.get("d/a").is_some(), "its sync made it durable with its entry");
            names.create("e", Node::Directory);
            names.create("e/a", Node::File(1));
            names.cut_power(&mut Rng::new(seed));
            assert!(names.get("e/a").is_none() || names.is_directory("e"));
        }
    }
}
