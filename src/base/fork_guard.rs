//! Open files that a forked child must not share. A lock belongs to what was opened, and a pipe to all who have its end:
//! after our death, a child would go on holding the locks, and keep alive the builds that are to end with us.

use std::fs::Metadata;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// One place for what is owned: its device and inode. No mutex: a thread of the parent could hold it, and never let go of
/// it in the child.
struct Place {
    state: AtomicU8,
    device: AtomicU64,
    inode: AtomicU64,
}

const FREE: u8 = 0;
const CLAIMED: u8 = 1;
const OWNED: u8 = 2;

/// What finds no place is shared after all.
static PLACES: [Place; 256] =
    [const { Place { state: AtomicU8::new(FREE), device: AtomicU64::new(0), inode: AtomicU64::new(0) } }; 256];

/// Says that an open file is of this process alone, until dropped.
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

    /// There is no fork.
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

/// Device and inode of all that a forked child has to close: what its parent owned. Its own comes later.
pub fn inherited() -> Vec<(u64, u64)> {
    let owned = PLACES.iter().filter(|place| place.state.swap(FREE, Ordering::SeqCst) == OWNED);
    owned.map(|place| (place.device.load(Ordering::SeqCst), place.inode.load(Ordering::SeqCst))).collect()
}
