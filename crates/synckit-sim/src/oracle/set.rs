//! A set of small numbers.

const WIDTH: usize = u128::BITS as usize;

/// A set of numbers below a bound that all sets of one history share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set(Vec<u128>);

impl Set {
    /// No number, of those below `bound`.
    pub(super) fn below(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(WIDTH)])
    }

    pub(super) fn insert(&mut self, n: usize) {
        self.0[n / WIDTH] |= 1 << (n % WIDTH);
    }

    pub(super) fn contains(&self, n: usize) -> bool {
        self.0[n / WIDTH] & (1 << (n % WIDTH)) != 0
    }

    /// Also everything in `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// Only what is in `other`, too.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Nothing that is in `other`.
    pub(super) fn take(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    /// The numbers, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let n = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (n < WIDTH).then_some(i * WIDTH + n)
            })
        })
    }
}
