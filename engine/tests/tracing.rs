//! The events of an engine as `tracing` has them. Alone in its process: a subscriber for all threads can be set once.

mod common;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use common::open;
use thalweg::{Record, Runtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Level, Metadata, Subscriber};

/// What was told: the level, the name of the event, and all its fields.
type Told = Arc<Mutex<Vec<(Level, String, String)>>>;

struct Listener(Told);

#[derive(Default)]
struct Fields {
    name: String,
    all: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.name = value.to_owned();
        }
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.all.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "thalweg"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Values<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().expect("no panics").push((*event.metadata().level(), fields.name, fields.all));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn events_go_to_tracing_as_well() {
    let told = Told::default();
    let dir = tempfile::tempdir().expect("a directory");
    open(dir.path(), Runtime::Auto).close().expect("closed");
    tracing::subscriber::set_global_default(Listener(Arc::clone(&told))).expect("the engine has set none");
    let engine = open(dir.path(), Runtime::Auto);
    let events = engine.events();
    let topic = common::topic(&engine, 1);
    topic.append(&Record::new(&common::pattern(1, 5_000))).expect("appended");
    engine.close().expect("closed");

    let queued: Vec<String> =
        std::iter::from_fn(|| events.try_next()).map(|event| event.kind.name().to_owned()).collect();
    let told = told.lock().expect("no panics");
    assert_eq!(told.iter().map(|(_, name, _)| name.clone()).collect::<Vec<_>>(), queued, "the same, in the same order");
    let of = |wanted: &str| told.iter().find(|(_, name, _)| name == wanted).expect("told");
    let (level, _, fields) = of("opened");
    assert!(*level == Level::INFO && fields.contains("read_only=false") && fields.contains("path="), "{fields}");
    assert!(fields.contains("message=opened "), "{fields}");
    let (level, _, fields) = of("recovered");
    assert!(*level == Level::INFO && fields.contains("clean=true") && fields.contains("tails=0"), "{fields}");
    assert_eq!(of("closed").0, Level::INFO);
}
