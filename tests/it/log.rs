//! What the service says to its log while a test listens: the spans it opens, so that statements can be counted, and its messages.
//!
//! A test's thread is the runtime of its service, so nothing of other tests is heard.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::{DefaultGuard, NoSubscriber, set_default};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// Listens until it is dropped.
pub struct Log {
    heard: Arc<Heard>,
    _listening: DefaultGuard,
}

#[derive(Default)]
struct Heard {
    spans: Mutex<Vec<String>>,
    messages: Mutex<Vec<(Level, String)>>,
}

impl Log {
    pub fn listen() -> Self {
        // With a single subscriber in the process, a message that is first met in a thread without one counts as unwanted everywhere.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let heard = Arc::new(Heard::default());
        let subscriber = tracing_subscriber::registry().with(Listener(Arc::clone(&heard)));
        Self { heard, _listening: set_default(subscriber) }
    }

    /// The statements that were run since this was asked last, by the names of their spans.
    pub fn statements(&self) -> Vec<String> {
        let mut spans = self.heard.spans.lock().expect("listening does not panic");
        spans.drain(..).filter(|name| name.starts_with("db.")).collect()
    }

    /// The messages of a level that hold this text, since the beginning.
    pub fn messages(&self, level: Level, text: &str) -> usize {
        let messages = self.heard.messages.lock().expect("listening does not panic");
        messages.iter().filter(|(of, message)| *of == level && message.contains(text)).count()
    }
}

struct Listener(Arc<Heard>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let name = attributes.metadata().name().to_owned();
        self.0.spans.lock().expect("listening does not panic").push(name);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.messages.lock().expect("listening does not panic").push((*event.metadata().level(), message.0));
    }
}

/// The fields of an event in one line.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}
