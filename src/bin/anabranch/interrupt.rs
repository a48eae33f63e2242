//! Ctrl-C, for commands that finish what they have begun.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Waits for Ctrl-C, or for a request to end: what `kill`, service managers and containers send.
pub(crate) async fn interrupted() -> io::Result<()> {
    Signals::listen()?.next().await
}

/// What asks a program to end, from the moment that this is made.
#[cfg(unix)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}

/// Whether somebody has pressed Ctrl-C, whoever was looking then. The second time ends the process.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    pub(crate) fn listen() -> Self {
        let (sender, pressed) = watch::channel(false);
        let signals = Signals::listen();
        tokio::spawn(async move {
            if let Ok(mut signals) = signals
                && signals.next().await.is_ok()
            {
                sender.send_replace(true);
                if signals.next().await.is_ok() {
                    std::process::exit(INTERRUPTED);
                }
            }
            // Where there is no such signal nobody waits for it in vain: the sender stays.
            sender.closed().await;
        });
        Self(pressed)
    }

    pub(crate) async fn pressed(&mut self) {
        // The sender is gone with the runtime only.
        _ = self.0.wait_for(|pressed| *pressed).await;
    }

    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow()
    }
}
