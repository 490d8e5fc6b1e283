//! As many file descriptors as the system lets this process have.
//!
//! An exchange holds two, its client's and its provider's. Shells begin with 1,024 on most systems and with 256 on
//! macOS, which is less than a few hundred agents need. Invariant: the limit is never lowered, and a system that
//! refuses is obeyed.

/// As many as are asked for at most: `connections_max` may be raised a few times before it matters. macOS refuses
/// more than its `OPEN_MAX`.
const DESCRIPTORS_MAX: libc::rlim_t = if cfg!(target_os = "macos") { 10_240 } else { 65_536 };

/// Raises the soft limit towards the hard one.
#[expect(unsafe_code, reason = "the standard library knows no limits of a process")]
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a value of ours that lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return;
    }
    let wanted = limit.rlim_max.min(DESCRIPTORS_MAX);
    if wanted > limit.rlim_cur {
        limit.rlim_cur = wanted;
        // SAFETY: as above. A refusal changes nothing, and what there is must do.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
