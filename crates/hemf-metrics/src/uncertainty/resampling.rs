//! What is drawn with replacement, and among what.

use super::random::Stream;
use crate::Error;
use serde::Serialize;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// What a resample draws: samples, samples within their class, or whole groups of samples such as patients.
#[derive(Clone, Debug)]
pub struct Resampling {
    samples: usize,
    /// Samples, unit by unit.
    members: Vec<u32>,
    /// `members[starts[u]..starts[u + 1]]` are those of unit `u`: drawn together or not at all.
    starts: Vec<usize>,
    /// Units that stand in for each other.
    strata: Vec<Range<usize>>,
    by: ResampledBy,
}

/// What a resample draws, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResampledBy {
    /// Samples among all samples.
    Samples,
    /// Samples among those of their class: every resample has the class sizes of the original.
    SamplesWithinClasses,
    /// Groups among all groups, each with all its samples: samples of a group resemble each other, and taking them for
    /// independent makes intervals too narrow (Field and Welsh, J. R. Stat. Soc. B 69, 2007).
    Groups,
}

impl Resampling {
    /// Samples among all `samples` samples. Fails when there are none, or more than 2^32.
    pub fn samples(samples: usize) -> Result<Self, Error> {
        Self::new(vec![(0..samples).collect()], ResampledBy::Samples)
    }

    /// Samples among those of their class.
    pub fn within_classes(truth: &[usize]) -> Result<Self, Error> {
        Self::new(lists(truth), ResampledBy::SamplesWithinClasses)
    }

    /// Groups, given the group of each sample.
    ///
    /// ```
    /// use hemf_metrics::uncertainty::Resampling;
    /// let patients = Resampling::groups(&["p1", "p1", "p2", "p3", "p3"])?;
    /// assert_eq!((patients.units(), patients.len()), (3, 5));
    /// # Ok::<(), hemf_metrics::Error>(())
    /// ```
    pub fn groups<K: Eq + Hash>(groups: &[K]) -> Result<Self, Error> {
        let groups = lists(groups);
        let mut starts = vec![0];
        starts.extend(groups.iter().scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        }));
        let units = groups.len();
        let flat = Self::new(vec![groups.concat()], ResampledBy::Groups)?;
        Ok(Self { starts, strata: std::iter::once(0..units).collect(), ..flat })
    }

    /// Each sample a unit, given the samples of each stratum.
    fn new(strata: Vec<Vec<usize>>, by: ResampledBy) -> Result<Self, Error> {
        let members = strata.iter().flatten().map(|&sample| u32::try_from(sample)).collect::<Result<Vec<u32>, _>>();
        let members = members.map_err(|_| Error::TooManySamples)?;
        if members.is_empty() {
            return Err(Error::NoSamples);
        }
        let mut end = 0;
        let ranges = strata.iter().map(|stratum| {
            let start = end;
            end += stratum.len();
            start..end
        });
        let strata = ranges.collect();
        Ok(Self { samples: members.len(), starts: (0..=members.len()).collect(), members, strata, by })
    }

    /// Number of samples, at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Fails unless it is of so many samples.
    pub(crate) fn check(&self, samples: usize) -> Result<(), Error> {
        match self.samples == samples {
            true => Ok(()),
            false => Err(Error::Length { what: "samples to draw from", found: self.samples, expected: samples }),
        }
    }

    /// Number of samples or groups that are drawn as one.
    pub fn units(&self) -> usize {
        self.starts.len() - 1
    }

    /// What is drawn.
    pub fn by(&self) -> ResampledBy {
        self.by
    }

    /// Sets how often each sample is in a resample: as many units are drawn from each stratum as it has.
    pub(super) fn draw(&self, stream: &mut Stream, times: &mut [u32]) {
        times.fill(0);
        for stratum in &self.strata {
            for _ in stratum.clone() {
                let unit = stratum.start + stream.below(stratum.len());
                for &sample in &self.members[self.starts[unit]..self.starts[unit + 1]] {
                    times[sample as usize] += 1;
                }
            }
        }
    }
}

/// The positions of each key, keys in the order in which they first appear.
fn lists<K: Eq + Hash>(keys: &[K]) -> Vec<Vec<usize>> {
    let mut index = HashMap::new();
    let mut lists: Vec<Vec<usize>> = Vec::new();
    for (sample, key) in keys.iter().enumerate() {
        let next = lists.len();
        let list = *index.entry(key).or_insert(next);
        if list == next {
            lists.push(Vec::new());
        }
        lists[list].push(sample);
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn drawn(resampling: &Resampling, resample: u64) -> Vec<u32> {
        let mut times = vec![9; resampling.len()];
        resampling.draw(&mut Stream::new(1, resample), &mut times);
        times
    }

    proptest! {
        #[test]
        fn a_resample_keeps_what_it_should(keys in vec(0..5usize, 1..40), resample in any::<u64>()) {
            let count = |times: &[u32], key: usize| -> u32 {
                keys.iter().zip(times).filter(|(k, _)| **k == key).map(|(_, times)| times).sum()
            };
            let times = drawn(&Resampling::samples(keys.len()).unwrap(), resample);
            prop_assert_eq!(times.iter().sum::<u32>() as usize, keys.len());
            let times = drawn(&Resampling::within_classes(&keys).unwrap(), resample);
            for class in 0..5 {
                prop_assert_eq!(count(&times, class) as usize, keys.iter().filter(|k| **k == class).count());
            }
            let groups = Resampling::groups(&keys).unwrap();
            let times = drawn(&groups, resample);
            // Samples of one group are drawn equally often, and as many groups as there are.
            let of = |group: usize| keys.iter().zip(&times).find(|(k, _)| **k == group).map_or(0, |(_, &times)| times);
            prop_assert!(keys.iter().zip(&times).all(|(&k, &times)| times == of(k)));
            prop_assert_eq!((0..5).map(of).sum::<u32>() as usize, groups.units());
        }
    }

    #[test]
    fn nothing_cannot_be_resampled() {
        assert!(matches!(Resampling::samples(0), Err(Error::NoSamples)));
        assert!(matches!(Resampling::groups::<u8>(&[]), Err(Error::NoSamples)));
    }
}
