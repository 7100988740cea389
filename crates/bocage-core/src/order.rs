//! The order in which a behavior's cowns are acquired: that of their addresses, which is the same for all behaviors, and so
//! makes deadlock impossible.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::behavior::Header;
use crate::slot::Slot;

/// Up to so many slots are put in order on the stack.
const ORDERED_ON_STACK: usize = 16;

/// Calls `then` with the slots that are to stand in queues, in ascending order of their cowns' addresses: the total
/// order that makes deadlock impossible. Where several ask for the same cown, one stands for all of them: the first
/// that writes, or else the first.
///
/// # Safety
///
/// `header` is of a fresh block that nobody else knows before `then` is called.
pub(crate) unsafe fn in_order<T>(header: NonNull<Header>, then: impl FnOnce(&[NonNull<Slot>]) -> T) -> T {
    // SAFETY: passed on. No reference to all of them is made, which would be one beside those that queues hand out.
    let (first, count) = unsafe { Header::first_slot_of(header) };
    // SAFETY: within the slots.
    let all = (0..count).map(|i| unsafe { first.add(i) });
    // The swaps wait for one line after the other, if these are not on their way before.
    // SAFETY: nobody else knows the slots.
    all.clone().for_each(|slot| unsafe { slot.as_ref().want.prefetch() });
    if count <= ORDERED_ON_STACK {
        let mut order = [const { MaybeUninit::uninit() }; ORDERED_ON_STACK];
        let order = &mut order[..count];
        order.iter_mut().zip(all).for_each(|(place, slot)| {
            place.write(slot);
        });
        // SAFETY: all were written; the rest is passed on.
        return then(unsafe { merged(header, &mut *(ptr::from_mut(order) as *mut [NonNull<Slot>])) });
    }
    scratch::with(|order| {
        order.extend(all);
        // SAFETY: passed on.
        then(unsafe { merged(header, order) })
    })
}

/// Sorts, and leaves one slot for each cown. Returns those.
///
/// # Safety
///
/// As for [`in_order`]; `order` is its slots.
unsafe fn merged(header: NonNull<Header>, order: &mut [NonNull<Slot>]) -> &mut [NonNull<Slot>] {
    // SAFETY: nobody else knows the slots.
    let want = |slot: &NonNull<Slot>| unsafe { slot.as_ref().want };
    // Cowns that were made one after the other, and are named so, mostly are in order and distinct.
    if order.is_sorted_by(|one, other| want(one).cown().addr() < want(other).cown().addr()) {
        return order;
    }
    // Of the same cown a write comes first, then what was asked for first.
    let key = |slot: &NonNull<Slot>| (want(slot).order(), slot.addr());
    if order.len() <= ORDERED_ON_STACK {
        sort_few(order, |slot| want(slot).order())
    } else {
        order.sort_unstable_by_key(key)
    }
    if order.windows(2).all(|pair| want(&pair[0]).cown() != want(&pair[1]).cown()) {
        return order;
    }
    let mut kept = 0;
    for i in 1..order.len() {
        let (one, other) = (want(&order[kept]), want(&order[i]));
        if one.cown() == other.cown() {
            // SAFETY: nobody else knows the slots.
            unsafe { (*order[i].as_ptr()).want = other.included_in(one) };
        } else {
            kept += 1;
            order.swap(kept, i);
        }
    }
    let order = &mut order[..=kept];
    // SAFETY: passed on.
    unsafe { Header::set_distinct(header, order.len() as u32) };
    order
}

/// Sorts up to [`ORDERED_ON_STACK`] by their keys, and keeps the order of those whose keys are equal: counts for each how
/// many come before it. More steps than others take, and none that a processor would have to guess.
fn sort_few<T: Copy>(few: &mut [T], key: impl Fn(&T) -> usize) {
    let Some(first) = few.first() else { return };
    let mut sorted = [*first; ORDERED_ON_STACK];
    let mut keys = [0; ORDERED_ON_STACK];
    let mut before = [0_u8; ORDERED_ON_STACK];
    let (keys, before) = (&mut keys[..few.len()], &mut before[..few.len()]);
    keys.iter_mut().zip(&*few).for_each(|(place, one)| *place = key(one));
    for later in 1..keys.len() {
        let mut place = 0;
        for earlier in 0..later {
            let is_after = keys[later] < keys[earlier];
            before[earlier] += u8::from(is_after);
            place += u8::from(!is_after);
        }
        before[later] = place;
    }
    for (one, place) in few.iter().zip(&*before) {
        sorted[usize::from(*place)] = *one;
    }
    few.copy_from_slice(&sorted[..few.len()]);
}

mod scratch {
    use super::Slot;
    use crate::sync::thread_local;
    use std::cell::Cell;
    use std::ptr::NonNull;

    thread_local! {
        /// Kept between calls, so that a wide behavior is one allocation too.
        #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no `const`")]
        static ORDER: Cell<Vec<NonNull<Slot>>> = Cell::new(Vec::new());
    }

    /// Calls `f` with an empty list.
    pub(super) fn with<T>(f: impl FnOnce(&mut Vec<NonNull<Slot>>) -> T) -> T {
        // A thread that is ending has no locals any more, and allocates.
        let mut order = ORDER.try_with(Cell::take).unwrap_or_default();
        let value = f(&mut order);
        order.clear();
        let _ = ORDER.try_with(|kept| kept.set(order));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn few_are_sorted_as_many_are(keys in prop::collection::vec(0_usize..20, 0..=ORDERED_ON_STACK)) {
            let numbered: Vec<_> = keys.into_iter().enumerate().collect();
            let (mut few, mut sorted) = (numbered.clone(), numbered);
            sort_few(&mut few, |(_, key)| *key);
            sorted.sort_by_key(|(_, key)| *key);
            prop_assert_eq!(few, sorted);
        }
    }
}
