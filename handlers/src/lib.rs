//! PetTracker.
