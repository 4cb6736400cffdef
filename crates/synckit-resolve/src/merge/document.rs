//! A document put together from the last writes per place. Later writes replace what is in their way.

use serde_json::{Map, Value};

use super::{
    amount::Overflow,
    paths::{Paths, Place, Shape, Step},
    state::{Rank, Said, State},
    text,
};

/// The document of a state.
pub(super) fn build(paths: &Paths, state: &State<'_>) -> Result<Value, Overflow> {
    let mut newest: Vec<Rank> = (0..paths.len()).map(|at| state.rank(at)).collect();
    for at in (1..paths.len()).rev() {
        let within = paths.within(at);
        newest[within] = newest[within].max(newest[at]);
    }
    let builder = Builder { paths, state, newest };
    Ok(builder.value(Paths::ROOT, 0)?.unwrap_or_else(|| Value::Object(Map::new())))
}

struct Builder<'b, 'c> {
    paths: &'b Paths,
    state: &'b State<'c>,
    /// Per place, the newest write there and below.
    newest: Vec<Rank>,
}

impl Builder<'_, '_> {
    /// The value at a place, of writes that are not older than `since`.
    fn value(&self, at: Place, since: Rank) -> Result<Option<Value>, Overflow> {
        let own = self.state.said(at);
        let shape = self.newest_of(at, |_| true).and_then(|child| {
            let rank = self.newest[child];
            own.is_none_or(|(held, _)| rank >= held).then(|| self.paths.shape(child))
        });
        let since = since.max(self.state.rank(at));
        let Some(shape) = shape else {
            return Ok(match own {
                Some((rank, Said::Value(value))) if rank >= since => Some(value.clone()),
                _ => None,
            });
        };
        let rival = self.newest_of(at, |child| self.paths.shape(child) != shape);
        let since = since.max(rival.map_or(0, |child| self.newest[child]));
        match shape {
            Shape::Object => self.object(at, since),
            Shape::Array => self.array(at, since),
            Shape::Count => self.count(at, since),
        }
    }

    fn newest_of(&self, at: Place, which: impl Fn(Place) -> bool) -> Option<Place> {
        let children = self.paths.children(at).values().copied();
        children.filter(|c| self.newest[*c] > 0 && which(*c)).max_by_key(|c| self.newest[*c])
    }

    fn is_there(&self, at: Place, marker: &Step, since: Rank) -> bool {
        let said = self.paths.child(at, marker).and_then(|marker| self.state.said(marker));
        said.is_some_and(|(rank, said)| rank >= since && said != Said::Gone)
    }

    fn object(&self, at: Place, since: Rank) -> Result<Option<Value>, Overflow> {
        let mut fields = Map::new();
        for (step, child) in self.paths.children(at) {
            let Step::Field(name) = step else { continue };
            if self.newest[*child] < since.max(1) {
                continue;
            }
            if let Some(value) = self.value(*child, since)? {
                fields.insert(name.to_string(), value);
            }
        }
        let is_there = !fields.is_empty() || self.is_there(at, &Step::Object, since);
        Ok(is_there.then_some(Value::Object(fields)))
    }

    fn array(&self, at: Place, since: Rank) -> Result<Option<Value>, Overflow> {
        let mut elements = Vec::new();
        for (step, child) in self.paths.children(at) {
            let Step::Element(key) = step else { continue };
            let is_entry = self.paths.child(*child, &Step::Object).is_some();
            if is_entry && !self.is_there(*child, &Step::Object, since) {
                continue;
            }
            if let Some(value) = self.value(*child, since)? {
                let sorted_by =
                    if is_entry { serde_json::from_str(key).unwrap_or_default() } else { value.clone() };
                elements.push(((sorted_by, key.to_string()), value));
            }
        }
        let is_there = !elements.is_empty() || self.is_there(at, &Step::Array, since);
        elements.sort_unstable_by(|(a, _), (b, _)| text::order(a, b));
        Ok(is_there.then(|| Value::Array(elements.into_iter().map(|(_, value)| value).collect())))
    }

    fn count(&self, at: Place, since: Rank) -> Result<Option<Value>, Overflow> {
        let Some(count) = self.paths.child(at, &Step::Count).filter(|c| self.state.rank(*c) >= since) else {
            return Ok(None);
        };
        self.state.shown.get(&count).map(|amount| amount.number().map(Value::Number)).transpose()
    }
}
