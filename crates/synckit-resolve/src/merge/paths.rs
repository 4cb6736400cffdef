//! The places in a document, numbered: parents before what is in them.

use std::collections::{BTreeMap, HashMap};

use super::{Kind, text};

/// A place in a document.
pub(super) type Place = usize;

/// One step down from a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The field of an object.
    Field(Box<str>),
    /// That there is an object, even an empty one.
    Object,
    /// An element of a declared array, by the canonical text of the element or of its key.
    Element(Box<str>),
    /// That there is a declared array, even an empty one.
    Array,
    /// The number of a declared counter.
    Count,
}

/// What is at a place. Only one of them can be there at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Array,
    Count,
}

impl Step {
    pub(super) const fn shape(&self) -> Shape {
        match self {
            Self::Field(_) | Self::Object => Shape::Object,
            Self::Element(_) | Self::Array => Shape::Array,
            Self::Count => Shape::Count,
        }
    }
}

#[derive(Debug)]
struct Node {
    within: Place,
    step: Option<Step>,
    shape: Shape,
    children: BTreeMap<Step, Place>,
    /// Whether some event says that it is of one shape, and some other that it is of another.
    mixed: bool,
}

/// All places that some event says something of.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    kinds: HashMap<Place, Kind>,
}

impl Paths {
    pub(super) const ROOT: Place = 0;

    pub(super) fn new(kinds: &BTreeMap<String, Kind>) -> Self {
        let root = Node {
            within: Self::ROOT,
            step: None,
            shape: Shape::Object,
            children: BTreeMap::new(),
            mixed: false,
        };
        let mut paths = Self { nodes: vec![root], kinds: HashMap::new() };
        for (pointer, kind) in kinds {
            let at = text::names(pointer).fold(Self::ROOT, |at, name| paths.field(at, &name));
            paths.kinds.insert(at, kind.clone());
        }
        paths
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn kind(&self, at: Place) -> Option<&Kind> {
        self.kinds.get(&at)
    }

    pub(super) fn within(&self, at: Place) -> Place {
        self.nodes[at].within
    }

    pub(super) fn shape(&self, at: Place) -> Shape {
        self.nodes[at].shape
    }

    pub(super) fn is_mixed(&self, at: Place) -> bool {
        self.nodes[at].mixed
    }

    pub(super) fn children(&self, at: Place) -> &BTreeMap<Step, Place> {
        &self.nodes[at].children
    }

    pub(super) fn child(&self, at: Place, step: &Step) -> Option<Place> {
        self.nodes[at].children.get(step).copied()
    }

    /// The JSON pointer to a place, or to the object, array or counter that it says is there.
    pub(super) fn pointer(&self, at: Place) -> String {
        let Some(step) = &self.nodes[at].step else { return String::new() };
        let mut pointer = self.pointer(self.within(at));
        if let Step::Field(name) | Step::Element(name) = step {
            text::push_name(&mut pointer, name);
        }
        pointer
    }

    pub(super) fn field(&mut self, at: Place, name: &str) -> Place {
        self.step(at, Step::Field(name.into()))
    }

    pub(super) fn step(&mut self, at: Place, step: Step) -> Place {
        if let Some(known) = self.nodes[at].children.get(&step) {
            return *known;
        }
        let (place, shape) = (self.nodes.len(), step.shape());
        let node = &mut self.nodes[at];
        node.mixed |= node.children.keys().next().is_some_and(|first| first.shape() != shape);
        node.children.insert(step.clone(), place);
        self.nodes.push(Node {
            within: at,
            step: Some(step),
            shape,
            children: BTreeMap::new(),
            mixed: false,
        });
        place
    }
}
