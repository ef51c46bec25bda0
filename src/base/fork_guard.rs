//! Records which open files a forked child has to close. A child inherits every open file of its parent. A lock belongs
//! to the open file, and a pipe stays open as long as any process has it: without this, a child that outlives its
//! parent would keep the parent's locks, and keep its builds running. Closing is up to the caller, who gets the list
//! from [`inherited`].

use std::fs::Metadata;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Device and inode of one file. There is no mutex, since another thread of the parent could hold it during the fork:
/// in the child it would never be released.
struct Place {
    state: AtomicU8,
    device: AtomicU64,
    inode: AtomicU64,
}

const FREE: u8 = 0;
#[cfg(unix)]
const CLAIMED: u8 = 1;
const OWNED: u8 = 2;

/// A file that finds no free place is not recorded, and a forked child keeps it open.
static PLACES: [Place; 256] =
    [const { Place { state: AtomicU8::new(FREE), device: AtomicU64::new(0), inode: AtomicU64::new(0) } }; 256];

/// Marks an open file as one that belongs to this process alone, until dropped.
pub struct ForkGuard(Option<&'static Place>);

impl ForkGuard {
    #[cfg(unix)]
    pub fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let claim =
            |place: &&Place| place.state.compare_exchange(FREE, CLAIMED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let place = PLACES.iter().find(claim);
        if let Some(place) = place {
            place.device.store(file.dev(), Ordering::SeqCst);
            place.inode.store(file.ino(), Ordering::SeqCst);
            place.state.store(OWNED, Ordering::SeqCst);
        }
        Self(place)
    }

    /// Does nothing: this system has no fork.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Self {
        Self::nothing()
    }

    #[cfg(not(unix))]
    pub fn nothing() -> Self {
        Self(None)
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.state.store(FREE, Ordering::SeqCst);
        }
    }
}

/// Device and inode of each file that a forked child has to close. Clears the list, so that it then records the child's
/// own files.
pub fn inherited() -> Vec<(u64, u64)> {
    let owned = PLACES.iter().filter(|place| place.state.swap(FREE, Ordering::SeqCst) == OWNED);
    owned.map(|place| (place.device.load(Ordering::SeqCst), place.inode.load(Ordering::SeqCst))).collect()
}
