//! Ctrl-C, for commands that finish what they have begun.

use tokio::{signal::ctrl_c, sync::watch};

/// What a shell says of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Whether somebody has pressed Ctrl-C, whoever was looking then. The second time ends the process.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    pub(crate) fn listen() -> Self {
        let (sender, pressed) = watch::channel(false);
        tokio::spawn(async move {
            if ctrl_c().await.is_ok() {
                sender.send_replace(true);
                if ctrl_c().await.is_ok() {
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
