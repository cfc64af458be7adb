//! Numbers that stand for all others: the constants, and some in each place between them.

use std::collections::BTreeSet;

use super::number::Num;
use super::unknown::Reason;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    At(Num),
    /// All between two constants; a bound that is not there is open.
    Between(Option<Num>, Option<Num>),
}

/// Returns each constant and one number of each place around them, in ascending order. Places of
/// whole numbers without a whole number are left out.
pub(super) fn places(constants: &BTreeSet<Num>, whole: bool) -> Vec<(Num, Place)> {
    let mut found: Vec<(Num, Place)> = gaps(constants)
        .filter_map(|(after, before)| {
            Some((between(after, before, whole)?, Place::Between(after, before)))
        })
        .collect();
    found.extend(constants.iter().map(|it| (*it, Place::At(*it))));
    let large = constants.iter().filter(|it| !it.is_small());
    found.extend(large.flat_map(|it| neighbours(*it)).map(|it| (it, Place::At(it))));
    found.sort_by_key(|(number, _)| *number);
    found.dedup_by_key(|(number, _)| *number);
    found
}

/// Returns the open places before, between and after the constants.
fn gaps(constants: &BTreeSet<Num>) -> impl Iterator<Item = (Option<Num>, Option<Num>)> {
    let after = std::iter::once(None).chain(constants.iter().copied().map(Some));
    let before = constants.iter().copied().map(Some).chain(std::iter::once(None));
    after.zip(before)
}

/// Steps at which a number looks round, from coarse to fine; the fine ones as parts of one.
const COARSE_STEPS: [f64; 10] = [1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1e0];
const FINE_PARTS: [f64; 5] = [2.0, 10.0, 100.0, 1e3, 1e6];

/// Returns a plain number that lies strictly between two.
fn between(after: Option<Num>, before: Option<Num>, whole: bool) -> Option<Num> {
    let is_between = |it: &Num| {
        after.is_none_or(|after| after < *it) && before.is_none_or(|before| *it < before)
    };
    let (low, high) = (after.map(Num::as_double), before.map(Num::as_double));
    let found = match (low, high) {
        _ if is_between(&Num::Int(0)) => 0.0,
        (Some(low), Some(high)) if high <= 0.0 => -round_between(-high, -low, whole)?,
        (Some(low), Some(high)) => round_between(low, high, whole)?,
        (Some(low), None) => (low.floor() + 1.0).max(low.next_up()),
        (None, Some(high)) => (high.ceil() - 1.0).min(high.next_down()),
        (None, None) => 0.0,
    };
    Num::of_double(found).filter(is_between)
}

/// Returns the roundest number between two that are not negative.
fn round_between(low: f64, high: f64, whole: bool) -> Option<f64> {
    let coarse = COARSE_STEPS.iter().map(|step| ((low / step).floor() + 1.0) * step);
    let fine = FINE_PARTS.iter().map(|parts| ((low * parts).floor() + 1.0) / parts);
    let middle = low + (high - low) / 2.0;
    let fine = fine.chain([middle]).filter(|_| !whole);
    coarse.chain(fine).find(|it| low < *it && *it < high)
}

/// Returns the numbers around a large one that comparing with it, exactly or as doubles, can tell
/// apart.
fn neighbours(number: Num) -> Vec<Num> {
    let double = number.as_double();
    let (above, below) = (double.next_up(), double.next_down());
    let mut found: Vec<Num> =
        [double, above, below].into_iter().filter_map(Num::of_double).collect();
    if let Num::Int(value) = number {
        found.extend([value - 1, value + 1].into_iter().filter_map(Num::of_int));
    }
    // Where integers begin to round to the next double.
    let exact = double as i128;
    let halves = [(above - double) as i128 / 2, -((double - below) as i128 / 2)];
    let edges = halves.into_iter().flat_map(|half| {
        (-1..=1).filter_map(move |it| Num::of_int(exact.checked_add(half)?.checked_add(it)?))
    });
    found.extend(edges.chain(Num::of_int(exact)));
    found
}

/// Returns each constant, and in each place around them enough numbers for `copies` paths to stand
/// in every order. If some paths are whole numbers and others are not (`is_mixed`), then between
/// the whole ones as well.
pub(super) fn shared_places(
    constants: &BTreeSet<Num>,
    copies: usize,
    whole: bool,
    is_mixed: bool,
) -> Result<Vec<(Num, Place)>, Reason> {
    if constants.iter().any(|it| !it.is_small()) {
        return Err(Reason::Rounding);
    }
    let mut found: Vec<(Num, Place)> = constants.iter().map(|it| (*it, Place::At(*it))).collect();
    for (after, before) in gaps(constants) {
        let (low, high) = (after.map(Num::as_double), before.map(Num::as_double));
        let mut numbers = whole_between(low, high, copies);
        if is_mixed {
            numbers.extend(fractions(low, high, &numbers, copies)?);
        } else if !whole && numbers.len() < copies {
            numbers = spread(low.unwrap_or(0.0), high.unwrap_or(0.0), copies)?;
        }
        let mut numbers: Vec<Num> = numbers.into_iter().filter_map(Num::of_double).collect();
        numbers.extend(clusters(after, before, copies));
        found.extend(numbers.into_iter().map(|it| (it, Place::Between(after, before))));
    }
    found.sort_by_key(|(number, _)| *number);
    found.dedup_by_key(|(number, _)| *number);
    Ok(found)
}

/// Returns up to `count` consecutive whole numbers between two.
fn whole_between(low: Option<f64>, high: Option<f64>, count: usize) -> Vec<f64> {
    let count = count as f64;
    let first = match (low, high) {
        (Some(low), _) => low.floor() + 1.0,
        (None, Some(high)) => high.ceil() - count,
        (None, None) => 0.0,
    };
    let all = (0..count as usize).map(|it| first + it as f64);
    all.filter(|it| high.is_none_or(|high| *it < high)).collect()
}

/// Returns `count` numbers in each place around the whole ones.
fn fractions(
    low: Option<f64>,
    high: Option<f64>,
    whole: &[f64],
    count: usize,
) -> Result<Vec<f64>, Reason> {
    let (Some(first), Some(last)) = (whole.first(), whole.last()) else {
        return spread(low.unwrap_or(0.0), high.unwrap_or(0.0), count);
    };
    let mut ends = vec![low.unwrap_or(first - 1.0)];
    ends.extend(whole);
    ends.push(high.unwrap_or(last + 1.0));
    let mut found = Vec::new();
    for pair in ends.windows(2) {
        found.extend(spread(pair[0], pair[1], count)?);
    }
    Ok(found)
}

/// Returns `count` numbers strictly between two, evenly spread.
fn spread(low: f64, high: f64, count: usize) -> Result<Vec<f64>, Reason> {
    let step = (high - low) / (count + 1) as f64;
    let found: Vec<f64> = (1..=count).map(|it| low + step * it as f64).collect();
    let mut last = low;
    for number in &found {
        if *number <= last {
            return Err(Reason::Rounding);
        }
        last = *number;
    }
    if last < high { Ok(found) } else { Err(Reason::Rounding) }
}

/// The middle of the numbers at which doubles are 1,024 apart.
const FAR: i128 = 1 << 62;
const FAR_STEP: i128 = 1 << 12;

/// With three paths or more it shows that comparing is not transitive: a double is equal to each of
/// two large integers that differ. Returns a double with integers that round to it, where the place
/// is open, and numbers beyond. One such cluster is enough: two would take six paths.
fn clusters(after: Option<Num>, before: Option<Num>, copies: usize) -> Vec<Num> {
    let sign = match (after, before) {
        (Some(_), Some(_)) => return Vec::new(),
        (_, None) => 1,
        (None, Some(_)) => -1,
    };
    let Some(beyond) = copies.checked_sub(3) else { return Vec::new() };
    let near = (0..=beyond + 1).map(|it| FAR + it as i128);
    let far = (1..=beyond).map(|it| FAR + it as i128 * FAR_STEP);
    let integers = near.chain(far).filter_map(|it| Num::of_int(sign * it));
    integers.chain(Num::of_double((sign * FAR) as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constants: &[f64], whole: bool, expected: &str) {
        let constants = constants.iter().filter_map(|it| Num::of_double(*it)).collect();
        let found = places(&constants, whole);
        let found: Vec<String> = found.iter().map(|(it, _)| it.to_json().to_string()).collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn each_place_has_a_plain_number() {
        check(&[], false, "0");
        check(&[0.0], false, "-1 0 1");
        check(&[1000.0], false, "0 1000 1001");
        check(&[1.0, 2.0], false, "0 1 1.5 2 3");
        check(&[1.0, 2.0], true, "0 1 2 3");
        check(&[-7.0, -3.0], false, "-8 -7 -4 -3 0");
        check(&[10.0, 2000.0], false, "0 10 1000 2000 2001");
        check(&[f64::MAX], false, "0 1.7976931348623155e+308 1.7976931348623157e+308");
    }

    #[test]
    fn paths_that_are_compared_have_a_number_each() {
        let constants = BTreeSet::from([Num::Int(1), Num::Int(2)]);
        let found = shared_places(&constants, 2, false, false).expect("small numbers do not round");
        let found: Vec<f64> = found.iter().map(|(it, _)| it.as_double()).collect();
        assert_eq!(found.len(), 2 * 3 + 2);
        let between = found.iter().filter(|it| 1.0 < **it && **it < 2.0).count();
        assert_eq!(between, 2);
    }
}
