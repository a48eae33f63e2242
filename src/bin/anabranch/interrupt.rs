//! Ctrl-C, for commands that finish what they have begun.

use std::io;

use tokio::sync::watch;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Waits for Ctrl-C, or for a request to end: what `kill`, service managers and containers send.
pub(crate) async fn interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = end.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Whether somebody has pressed Ctrl-C, whoever was looking then. The second time ends the process.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    pub(crate) fn listen() -> Self {
        let (sender, pressed) = watch::channel(false);
        tokio::spawn(async move {
            if interrupted().await.is_ok() {
                sender.send_replace(true);
                if interrupted().await.is_ok() {
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
