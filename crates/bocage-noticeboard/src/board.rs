//! The handle of a board: it sends the messages, and takes the snapshots.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::snapshot::{Newest, Snapshot};
use crate::writer::{Change, Failure, Message, OnStart, OnStop, OnWarning, Warning, Writer, panic_message, quietly};
use crate::{Error, Key};

/// A board of at most [`MAX_KEYS`](crate::MAX_KEYS) keys, with values of type `V`.
///
/// Share it as `Arc<Board<V>>`: every method takes `&self`. Reading ([`snapshot`](Self::snapshot),
/// [`value`](Self::value)) never waits for a change to be made. Writing sends a message, and returns before it
/// is applied; messages wait in a queue that grows as needed. Messages of one thread are applied in
/// the order in which it sent them.
///
/// Dropping the board applies what was sent, then ends the writer's thread; it waits for that,
/// unless it happens on that thread itself. [`close`](Self::close) does it with a time limit.
///
/// With `V` = [`Encoded`](crate::Encoded) a board takes values of all `serde` types.
pub struct Board<V: Send + Sync + 'static> {
    newest: Arc<Newest<V>>,
    /// `None` only while closing: the writer ends when this is gone.
    messages: Option<Sender<Message<V>>>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
    /// Disconnects when the thread is about to end. In a `Mutex` so that a board is `Sync`; only
    /// closing, which has the board to itself, looks at it.
    ended: Mutex<Receiver<Infallible>>,
}

impl<V: Send + Sync + 'static> Board<V> {
    /// An empty board whose warnings go to standard error.
    ///
    /// # Panics
    ///
    /// If the system gives no thread. [`Builder::start`] returns that as an error.
    pub fn new() -> Self {
        Builder::new().start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The newest version of the whole board.
    pub fn snapshot(&self) -> Snapshot<V> {
        self.newest.take()
    }

    /// The newest value under `key`. For several keys that belong together take one
    /// [`snapshot`](Self::snapshot).
    pub fn value(&self, key: &str) -> Option<Arc<V>> {
        self.snapshot().value(key).cloned()
    }

    /// Puts `value` under `key`, when its turn comes. If the board is full then and `key` is new, a
    /// [`Warning::Full`] says so.
    ///
    /// # Errors
    ///
    /// A bad key, see [`Key::new`].
    pub fn write(&self, key: &str, value: Arc<V>) -> Result<(), Error> {
        self.send(Message::Write(Key::new(key)?, value))
    }

    /// Changes the value under `key`, when its turn comes: `update` runs once, on the writer's
    /// thread, with the value that is there then, and no other message is applied meanwhile.
    ///
    /// If it fails or panics, the old value stays and a [`Warning`] says so.
    ///
    /// # Errors
    ///
    /// A bad key, see [`Key::new`].
    pub fn update<F>(&self, key: &str, update: F) -> Result<(), Error>
    where
        F: FnOnce(Option<&Arc<V>>) -> Result<Change<V>, Failure> + Send + 'static,
    {
        self.send(Message::Update(Key::new(key)?, Box::new(update)))
    }

    /// Takes `key` off the board, when its turn comes. A key that is not there then is no mistake.
    ///
    /// # Errors
    ///
    /// A bad key, see [`Key::new`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.send(Message::Delete(Key::new(key)?))
    }

    /// Puts `value` under `key` and returns when every reader can see it. It takes its turn behind
    /// what was sent before, and waits for that.
    ///
    /// # Errors
    ///
    /// A bad key ([`Key::new`]); [`Error::Full`]; [`Error::OnWriterThread`].
    pub fn seed(&self, key: &str, value: Arc<V>) -> Result<(), Error> {
        self.refuse_on_writer_thread()?;
        let (answer, answered) = channel();
        self.send(Message::Seed(Key::new(key)?, value, answer))?;
        answered.recv().map_err(|_| Error::WriterGone)?
    }

    /// Takes all keys off the board, when its turn comes. Version numbers go on.
    ///
    /// # Errors
    ///
    /// [`Error::WriterGone`].
    pub fn clear(&self) -> Result<(), Error> {
        self.send(Message::Clear)
    }

    /// Waits until every message sent before this call is applied, and gives the version that the
    /// last of them made (later messages do not show in it). `None` waits as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: nothing is lost, the writer goes on. [`Error::OnWriterThread`].
    pub fn flush(&self, timeout: Option<Duration>) -> Result<Snapshot<V>, Error> {
        self.begin_flush()?.wait(timeout)
    }

    /// Sends what [`flush`](Self::flush) sends and returns at once, for a caller that has to look
    /// at something else between short waits.
    ///
    /// # Errors
    ///
    /// [`Error::OnWriterThread`].
    pub fn begin_flush(&self) -> Result<Flush<V>, Error> {
        self.refuse_on_writer_thread()?;
        let (answer, answered) = channel();
        self.send(Message::Flush(answer))?;
        Ok(Flush { answered })
    }

    /// Applies what was sent, runs the stop hook and ends the writer's thread.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: the thread goes on with what is left, and ends by itself after it.
    /// [`Error::OnWriterThread`]: the same.
    pub fn close(mut self, timeout: Duration) -> Result<(), Error> {
        self.messages = None;
        if let Err(error) = self.refuse_on_writer_thread() {
            self.thread = None;
            return Err(error);
        }
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        match ended.recv_timeout(timeout) {
            Err(RecvTimeoutError::Disconnected) => Ok(()), // `drop` joins: it is at its end
            Err(RecvTimeoutError::Timeout) => {
                self.thread = None; // or `drop` would wait for it
                Err(Error::TimedOut { waited: timeout })
            }
        }
    }

    fn send(&self, message: Message<V>) -> Result<(), Error> {
        let messages = self.messages.as_ref().ok_or(Error::WriterGone)?;
        messages.send(message).map_err(|_| Error::WriterGone)
    }

    fn refuse_on_writer_thread(&self) -> Result<(), Error> {
        match &self.thread {
            Some(writer) if writer.thread().id() == thread::current().id() => Err(Error::OnWriterThread),
            _ => Ok(()),
        }
    }
}

impl<V: Send + Sync + 'static> Default for Board<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Send + Sync + 'static> Drop for Board<V> {
    fn drop(&mut self) {
        self.messages = None;
        // An update may own the last handle of its own board: the writer can't wait for itself.
        if self.refuse_on_writer_thread().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // All code of users runs under `catch_unwind`, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}

impl<V: Send + Sync + fmt::Debug + 'static> fmt::Debug for Board<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Board").field(&self.snapshot()).finish()
    }
}

/// A flush on its way, from [`Board::begin_flush`].
pub struct Flush<V> {
    answered: Receiver<Snapshot<V>>,
}

impl<V> Flush<V> {
    /// Waits until every message sent before the flush is applied, and gives the version that the
    /// last of them made. `None` waits as long as it takes. After a [`Error::TimedOut`] it can be
    /// called again.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::WriterGone`] once it has given its version.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Snapshot<V>, Error> {
        match timeout {
            None => self.answered.recv().map_err(|_| Error::WriterGone),
            Some(timeout) => self.answered.recv_timeout(timeout).map_err(|error| match error {
                RecvTimeoutError::Timeout => Error::TimedOut { waited: timeout },
                RecvTimeoutError::Disconnected => Error::WriterGone,
            }),
        }
    }
}

/// What a board starts with: its first entries, its thread's name and hooks, and who hears of
/// warnings.
pub struct Builder<V: Send + Sync + 'static> {
    first: Snapshot<V>,
    thread_name: String,
    on_start: OnStart,
    on_stop: OnStop,
    on_warning: OnWarning,
}

impl<V: Send + Sync + 'static> Builder<V> {
    /// An empty board, a thread named "noticeboard", no hooks, warnings to standard error.
    pub fn new() -> Self {
        Self {
            first: Snapshot::empty(0),
            thread_name: "noticeboard".to_owned(),
            on_start: Box::new(|| Ok(())),
            on_stop: Box::new(|| ()),
            on_warning: Box::new(|warning| eprintln!("warning: {warning}")),
        }
    }

    /// Starts from what `snapshot` holds; version numbers go on from its own.
    #[must_use]
    pub fn first(mut self, snapshot: Snapshot<V>) -> Self {
        self.first = snapshot;
        self
    }

    /// Names the writer's thread.
    #[must_use]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Runs `hook` on the writer's thread before the first message. If it fails,
    /// [`start`](Self::start) does.
    #[must_use]
    pub fn on_start<F>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Result<(), Failure> + Send + 'static,
    {
        self.on_start = Box::new(hook);
        self
    }

    /// Runs `hook` on the writer's thread after the last message, if `on_start` succeeded.
    #[must_use]
    pub fn on_stop<F: FnOnce() + Send + 'static>(mut self, hook: F) -> Self {
        self.on_stop = Box::new(hook);
        self
    }

    /// Calls `hook` on the writer's thread for each message that could not be applied.
    #[must_use]
    pub fn on_warning<F: Fn(&Warning) + Send + 'static>(mut self, hook: F) -> Self {
        self.on_warning = Box::new(hook);
        self
    }

    /// Starts the writer's thread and waits for its start hook.
    ///
    /// # Errors
    ///
    /// [`Error::Start`]: the system gave no thread, or the start hook failed or panicked.
    pub fn start(self) -> Result<Board<V>, Error> {
        let newest = Arc::new(Newest::new(self.first.clone()));
        let (messages, received) = channel();
        let (started, on_started) = channel();
        let (ending, ended) = channel::<Infallible>();
        let writer =
            Writer { board: self.first, newest: Arc::clone(&newest), messages: received, on_warning: self.on_warning };
        let (on_start, on_stop) = (self.on_start, self.on_stop);
        let body = move || {
            let _ending = ending;
            let outcome =
                catch_unwind(AssertUnwindSafe(on_start)).unwrap_or_else(|panic| Err(panic_message(panic).into()));
            let succeeded = outcome.is_ok();
            // `start` waits for this, so somebody receives it.
            let _ = started.send(outcome);
            if succeeded {
                writer.run();
                quietly(on_stop);
            }
        };
        let thread =
            thread::Builder::new().name(self.thread_name).spawn(body).map_err(|error| Error::Start(error.into()))?;
        let outcome = on_started.recv().map_err(|_| Error::WriterGone)?;
        if let Err(failure) = outcome {
            let _ = thread.join();
            return Err(Error::Start(failure));
        }
        Ok(Board { newest, messages: Some(messages), thread: Some(thread), ended: Mutex::new(ended) })
    }
}

impl<V: Send + Sync + 'static> Default for Builder<V> {
    fn default() -> Self {
        Self::new()
    }
}
