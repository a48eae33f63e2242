//! Tables against what is made of them: what is wrong is found, what is on its way is not, and a repair loses nothing.

mod embedded;
mod live;
mod planted;
mod repairs;
mod views;
mod world;
