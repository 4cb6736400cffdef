//! Reading rule files.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::Read as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::Value;
use synckit_resolve::{ConflictResolver, DynamicResolver, Limits, ResolutionObserver, Rule, RuleGroup, Spec};

use crate::{
    conditions::Reader,
    error::{Problem, RuleFileError},
    located::{Located, Place},
    model::{GroupEntry, RuleEntry, RuleFile},
    strategies,
};

/// The largest rule file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Groups within groups, at most.
const MAX_DEPTH: usize = 8;
/// Lists and maps within each other, at most: each takes its share of the stack.
const MAX_PARSED_DEPTH: usize = 40;
/// What the parser needs for that, whatever the stack of the caller.
const PARSER_STACK_BYTES: usize = 16 << 20;

/// What a file says for custom matchers and strategies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The file's features.
    pub features: BTreeMap<String, bool>,
    /// The file's custom values.
    pub custom: BTreeMap<String, String>,
}

type MakeMatcher = Arc<dyn Fn(&Value, &Context) -> Result<Spec, String> + Send + Sync>;
type MakeStrategy = Arc<
    dyn Fn(&BTreeMap<String, Value>, &Context) -> Result<Arc<dyn ConflictResolver>, String> + Send + Sync,
>;
type Transform = Arc<dyn Fn(&mut RuleFile) -> Result<(), String> + Send + Sync>;
type Validate = Arc<dyn Fn(&RuleFile) -> Result<(), Problem> + Send + Sync>;

/// Reads rule files, and knows the matchers and strategies of a program.
///
/// ```
/// use synckit_resolve::Spec;
/// use synckit_rules::RuleLoader;
///
/// let loader = RuleLoader::new().matcher("at_night", |_, _| Ok(Spec::custom("at night", |_| false)));
/// let rules = loader.parse(
///     "night.yaml",
///     b"version: 1
/// name: night
/// rules:
///   - name: wait
///     conditions: { custom_match: { at_night: {} } }
///     resolution: { strategy: manual_review, options: { reason: everybody sleeps } }
/// ",
/// )?;
/// assert_eq!(rules.resolver().rules().count(), 1);
/// # Ok::<(), synckit_rules::RuleFileError>(())
/// ```
#[derive(Clone, Default)]
pub struct RuleLoader {
    pub(crate) matchers: BTreeMap<String, MakeMatcher>,
    pub(crate) strategies: BTreeMap<String, MakeStrategy>,
    transforms: Vec<Transform>,
    validators: Vec<Validate>,
    observers: Vec<Arc<dyn ResolutionObserver>>,
}

impl fmt::Debug for RuleLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleLoader")
            .field("matchers", &self.matchers.keys())
            .field("strategies", &self.strategies.keys())
            .finish_non_exhaustive()
    }
}

/// A rule file, and the resolver that it describes.
#[derive(Debug, Clone)]
pub struct Rules {
    file: RuleFile,
    resolver: Arc<DynamicResolver>,
}

impl Rules {
    /// What the file says.
    #[must_use]
    pub const fn file(&self) -> &RuleFile {
        &self.file
    }

    /// The resolver.
    #[must_use]
    pub const fn resolver(&self) -> &Arc<DynamicResolver> {
        &self.resolver
    }
}

impl RuleLoader {
    /// A loader that knows the built-in strategies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a matcher for `custom_match`: it is given what the file says beside its name, and makes the condition.
    #[must_use]
    pub fn matcher(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Value, &Context) -> Result<Spec, String> + Send + Sync + 'static,
    ) -> Self {
        self.matchers.insert(name.into(), Arc::new(make));
        self
    }

    /// Registers a strategy: it is given its options, and makes the resolver. It goes before a built-in one of that name.
    #[must_use]
    pub fn strategy(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&BTreeMap<String, Value>, &Context) -> Result<Arc<dyn ConflictResolver>, String>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.strategies.insert(name.into(), Arc::new(make));
        self
    }

    /// Adds what may change a file after it was read and before it is checked; they run in their order.
    #[must_use]
    pub fn transform(
        mut self,
        transform: impl Fn(&mut RuleFile) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.transforms.push(Arc::new(transform));
        self
    }

    /// Adds a check of a file; all must agree.
    #[must_use]
    pub fn validator(
        mut self,
        validate: impl Fn(&RuleFile) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Self {
        self.validators.push(Arc::new(validate));
        self
    }

    /// Has resolvers of rule files watched.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn ResolutionObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Reads a file. YAML and JSON are read alike, for JSON is YAML.
    ///
    /// # Errors
    /// A [`RuleFileError`] with all that is wrong, and where.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Rules, RuleFileError> {
        let (file, bytes) = read_file(path.as_ref())?;
        self.parse(&file, &bytes)
    }

    /// Reads the text of a file; errors name it so.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(&self, file: &str, bytes: &[u8]) -> Result<Rules, RuleFileError> {
        let one = |place, message: String| RuleFileError::wrong(file, vec![Problem::at(place, message)]);
        let mut parsed: RuleFile = read_text(file, bytes)?;
        for transform in &self.transforms {
            transform(&mut parsed).map_err(|message| one(Place::START, message))?;
        }
        let mut problems = Vec::new();
        for validate in &self.validators {
            problems.extend(validate(&parsed).err());
        }
        let resolver = self.build(&parsed, &mut problems);
        match resolver {
            Some(resolver) if problems.is_empty() => Ok(Rules { file: parsed, resolver: Arc::new(resolver) }),
            _ => Err(RuleFileError::wrong(file, problems)),
        }
    }

    fn build(&self, file: &RuleFile, problems: &mut Vec<Problem>) -> Option<DynamicResolver> {
        let version = file.version.as_str();
        let minor = version
            .strip_prefix("1.")
            .is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()));
        if version != "1" && !minor {
            let message = format!("expected the version 1 of the schema, found {version:?}");
            problems.push(Problem::at(file.version.place, message));
        }
        if file.name.trim().is_empty() {
            problems.push(Problem::at(file.name.place, "expected a name for the rules"));
        }
        let settings = &file.settings;
        let context = Context { features: settings.features.clone(), custom: settings.custom.clone() };
        let mut builder = DynamicResolver::builder().limits(self.limits(file, problems));
        for observer in &self.observers {
            builder = builder.observer(Arc::clone(observer));
        }
        let mut make = Maker { loader: self, context, allowed: None, problems };
        make.allowed = settings.limits.max_rules_per_group.as_ref().map(|l| l.value);
        make.names(&file.rules, &file.groups);
        for rule in &file.rules {
            if let Some(rule) = make.rule(rule) {
                builder = builder.rule(rule);
            }
        }
        for group in &file.groups {
            if let Some(group) = make.group(group, 1) {
                builder = builder.group(group);
            }
        }
        if let Some(fallback) = &settings.default_fallback
            && let Some(fallback) = strategies::resolver(self, &make.context, fallback, make.problems)
        {
            builder = builder.shared_fallback(fallback);
        }
        if !problems.is_empty() {
            return None;
        }
        builder.build().map_err(|e| problems.push(Problem::at(Place::START, e.to_string()))).ok()
    }

    fn limits(&self, file: &RuleFile, problems: &mut Vec<Problem>) -> Limits {
        let (timeouts, limits) = (&file.settings.timeouts, &file.settings.limits);
        let mut of_all = Limits::default();
        let mut positive = |place: Place, value: u64| {
            if value == 0 {
                problems.push(Problem::at(place, "expected a number above 0"));
            }
            value
        };
        if let Some(limit) = &timeouts.resolution_timeout_ms {
            of_all = of_all.answer(Duration::from_millis(positive(limit.place, limit.value)));
        }
        if let Some(limit) = &timeouts.manual_review_timeout_ms {
            of_all = of_all.review(Duration::from_millis(positive(limit.place, limit.value)));
        }
        if let Some(limit) = &limits.max_conflicts_per_batch {
            positive(limit.place, limit.value as u64);
            of_all = of_all.batch(limit.value.max(1));
        }
        if let Some(limit) = &limits.max_rules_per_group {
            positive(limit.place, limit.value as u64);
        }
        of_all
    }
}

struct Maker<'a> {
    loader: &'a RuleLoader,
    context: Context,
    /// The most rules that a group may have.
    allowed: Option<usize>,
    problems: &'a mut Vec<Problem>,
}

impl Maker<'_> {
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::at(place, message));
    }

    /// Names must be there, without dots, and each once among those beside it.
    fn names(&mut self, rules: &[Located<RuleEntry>], groups: &[Located<GroupEntry>]) {
        let of_rules = rules.iter().map(|r| ("rule", &r.name));
        let of_groups = groups.iter().map(|g| ("group", &g.name));
        let mut seen = HashSet::new();
        for (of, name) in of_rules.chain(of_groups) {
            if name.is_empty() || name.contains(|c: char| c == '.' || c.is_control()) {
                let message = format!("expected a name without dots for the {of}, found {:?}", name.value);
                self.wrong(name.place, message);
            } else if !seen.insert((of, name.as_str())) {
                self.wrong(name.place, format!("there is another {of} with the name {:?} here", name.value));
            }
        }
    }

    /// Whether something takes part, as far as features are concerned.
    fn featured(&mut self, feature: Option<&Located<String>>) -> bool {
        let Some(feature) = feature else { return true };
        self.context.features.get(&feature.value).copied().unwrap_or_else(|| {
            let known = crate::conditions::known(self.context.features.keys());
            self.problems
                .push(Problem::at(feature.place, format!("there is no feature {:?}{known}", feature.value)));
            false
        })
    }

    fn rule(&mut self, entry: &Located<RuleEntry>) -> Option<Rule> {
        let featured = self.featured(entry.feature.as_ref());
        let reader = &mut Reader { loader: self.loader, context: &self.context, problems: self.problems };
        let spec = reader.spec(&entry.conditions, 0);
        let resolver = strategies::resolver(self.loader, &self.context, &entry.resolution, self.problems)?;
        let rule = Rule::shared(entry.name.value.clone(), spec, resolver);
        Some(rule.priority(entry.priority).enabled(entry.enabled && featured))
    }

    fn group(&mut self, entry: &Located<GroupEntry>, depth: usize) -> Option<RuleGroup> {
        if depth > MAX_DEPTH {
            self.wrong(entry.place, format!("groups are nested deeper than {MAX_DEPTH}"));
            return None;
        }
        self.names(&entry.rules, &entry.subgroups);
        if let Some(allowed) = self.allowed.filter(|allowed| entry.rules.len() > *allowed) {
            let message =
                format!("the group has {} rules; max_rules_per_group is {allowed}", entry.rules.len());
            self.wrong(entry.place, message);
        }
        if entry.rules.is_empty() && entry.subgroups.is_empty() && entry.fallback.is_none() {
            self.wrong(entry.place, "expected rules, subgroups or a fallback in the group");
        }
        if entry.final_fallback && entry.fallback.is_none() {
            self.wrong(entry.place, "final_fallback needs a fallback");
        }
        let featured = self.featured(entry.feature.as_ref());
        let mut group = RuleGroup::new(entry.name.value.clone()).enabled(entry.enabled && featured);
        for rule in &entry.rules {
            if let Some(rule) = self.rule(rule) {
                group = group.rule(rule);
            }
        }
        for within in &entry.subgroups {
            if let Some(within) = self.group(within, depth + 1) {
                group = group.subgroup(within);
            }
        }
        if let Some(fallback) = &entry.fallback
            && let Some(fallback) = strategies::resolver(self.loader, &self.context, fallback, self.problems)
        {
            group = group.shared_fallback(fallback, entry.final_fallback);
        }
        Some(group)
    }
}

/// The name and the bytes of a file that is not too large.
pub(crate) fn read_file(path: &Path) -> Result<(String, Vec<u8>), RuleFileError> {
    let file = path.display().to_string();
    let unreadable = |source| RuleFileError::Unreadable { file: file.clone(), source };
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    let length = opened.metadata().map_or(0, |m| m.len());
    if length > MAX_FILE_BYTES as u64 {
        return Err(too_large(&file, length));
    }
    let mut bytes = Vec::new();
    opened.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((file, bytes))
}

/// Reads YAML or JSON, and says where it is wrong.
pub(crate) fn read_text<T: DeserializeOwned + Send>(file: &str, bytes: &[u8]) -> Result<T, RuleFileError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(too_large(file, bytes.len() as u64));
    }
    let one = |place, message: String| RuleFileError::wrong(file, vec![Problem::at(place, message)]);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let (before, _) = bytes.split_at(e.valid_up_to());
        one(place_after(before), "the file is not UTF-8 text here".into())
    })?;
    let parse = || {
        // A field may well be called `n` or `no`, and a flight 007.
        let budget = serde_saphyr::budget! { max_depth: MAX_PARSED_DEPTH };
        serde_saphyr::from_str_with_options(
            text,
            serde_saphyr::options! {
                budget: budget,
                strict_booleans: true,
                leading_zero_numbers_as_strings: true,
                underscored_numbers_as_strings: true
            },
        )
        .map_err(|e| {
            let error = e.without_snippet();
            let place = error.location().map_or(Place::START, |l| Place::new(l.line(), l.column()));
            one(place, message_of(error))
        })
    };
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, parse);
        let unreadable = |source| RuleFileError::Unreadable { file: file.to_owned(), source };
        started.map_err(unreadable)?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn too_large(file: &str, bytes: u64) -> RuleFileError {
    let message = format!("the file has {bytes} bytes; expected at most {MAX_FILE_BYTES}");
    RuleFileError::wrong(file, vec![Problem::at(Place::START, message)])
}

/// The place behind some text.
fn place_after(before: &[u8]) -> Place {
    let text = String::from_utf8_lossy(before);
    let line = text.matches('\n').count() as u64 + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    Place::new(line, column)
}

/// The parser's message, without the place that it repeats.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = first.split(" at line ").next().unwrap_or(first).trim_end_matches(':').trim();
    match message.strip_prefix("invalid ") {
        Some("u64" | "usize" | "i32") => "expected a whole number".to_owned(),
        Some("bool" | "boolean") => "expected true or false".to_owned(),
        _ => message.to_owned(),
    }
}
