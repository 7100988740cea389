//! What an event loop watches for tokens that came: a descriptor that becomes readable.
//!
//! Where there is none (Windows, or no descriptor left), a thread of the loop's own waits in `hear`; see
//! `bocage/_asyncio.py`.

#[cfg(unix)]
pub(crate) use posix::Bell;
#[cfg(not(unix))]
pub(crate) use without::Bell;

#[cfg(unix)]
mod posix {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// Two connected sockets. Both live as long as the bell, so that no number is written to that the system gave to
    /// another file since, and the peer is never gone.
    pub(crate) struct Bell {
        heard: UnixStream,
        rung: UnixStream,
    }

    impl Bell {
        /// A silent one, if the process may have two descriptors more.
        pub(crate) fn new() -> Option<Bell> {
            let (heard, rung) = UnixStream::pair().ok()?;
            heard.set_nonblocking(true).ok()?;
            rung.set_nonblocking(true).ok()?;
            Some(Bell { heard, rung })
        }

        /// Makes the descriptor readable. Needs no GIL and never waits.
        pub(crate) fn ring(&self) {
            // It fails only if more bytes are there than fit, and then it is readable.
            let _ = (&self.rung).write(&[1]);
        }

        /// Makes it unreadable again.
        pub(crate) fn silence(&self) {
            let mut bytes = [0; 16];
            // What else is there makes the loop call again.
            let _ = (&self.heard).read(&mut bytes);
        }

        /// The descriptor to watch.
        pub(crate) fn descriptor(&self) -> i32 {
            self.heard.as_raw_fd()
        }
    }
}

#[cfg(not(unix))]
mod without {
    /// There is none.
    pub(crate) enum Bell {}

    impl Bell {
        pub(crate) fn new() -> Option<Bell> {
            None
        }

        pub(crate) fn ring(&self) {
            match *self {}
        }

        pub(crate) fn silence(&self) {
            match *self {}
        }

        pub(crate) fn descriptor(&self) -> i32 {
            match *self {}
        }
    }
}
