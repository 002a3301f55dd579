//! The contract: linters find no fault with it, and each of its facts comes from where its mark
//! says: the vendor's documentation page, the vendor's published clients, or this project.
//!
//! `facts.json` has what the page says, and is compared with the page itself if that is available.
//! What the clients say is read from the installed packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::facts::{Fact, Facts, Source};
use crate::page::{self, Page};
use crate::report::Outcome;
use crate::spec::Contract;
use crate::tools::{
    self, JAVASCRIPT_CLIENT, OPENAPI_SPEC_VALIDATOR, PYTHON_CLIENT, REDOCLY, SPECTRAL, Tools,
};
use crate::{linters, mutations};

const PAGE: &str = "../shared/docs/APIKeys.md";
const EVIDENCE: &str = "checks/conformance/facts.json";

/// What the contract is compared with: the content of `facts.json`, and what the clients say.
///
/// A place in the file that begins with `*` stands for that place of each operation.
#[derive(Deserialize)]
pub struct Evidence {
    /// What the page says in its tables and signatures.
    facts: BTreeMap<String, Value>,
    /// What the page says in words.
    statements: Vec<Statement>,
    /// Facts with the mark `clients` or `later` that the two packages do not show.
    unproven: Vec<Exception>,
    /// Places where the contract and the clients differ, or the clients from each other.
    differences: Vec<Exception>,
    #[serde(skip)]
    clients: BTreeMap<String, ByClient>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    place: String,
    page: String,
    /// How the contract says it, at this place.
    contract: Option<Value>,
    /// Why the contract does not say it.
    left_out: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    place: String,
    /// Absent for descriptions, which the project words itself, and for differences.
    value: Option<Value>,
    reason: String,
}

/// What the two clients say of one place.
#[derive(Clone, Default)]
struct ByClient {
    python: Option<Value>,
    javascript: Option<Value>,
}

impl ByClient {
    fn values(&self) -> impl Iterator<Item = &Value> {
        [&self.python, &self.javascript].into_iter().flatten()
    }
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let installed = [OPENAPI_SPEC_VALIDATOR, REDOCLY, SPECTRAL, PYTHON_CLIENT, JAVASCRIPT_CLIENT];
    let mut outcome = Outcome::new(&installed);
    linters::run(tools, &mut outcome).await?;

    let evidence = fs::read_to_string(tools.root().join(EVIDENCE)).context(EVIDENCE)?;
    let evidence: Evidence = serde_json::from_str(&evidence).context(EVIDENCE)?;
    let mut evidence = evidence.expanded();
    match fs::read_to_string(tools.root().join(PAGE)) {
        Ok(page) => {
            evidence.compare_with(&Page::read(&page).context(PAGE)?, &mut outcome);
            let unnoticed = page::unnoticed(&page)?;
            let name =
                format!("a new sentence on the page is noticed, but not after {unnoticed:?}");
            outcome.check(name, unnoticed.is_empty());
            outcome.note(format!("{EVIDENCE} was compared with the page itself, {PAGE}."));
        }
        Err(_) => outcome.note(format!("{PAGE} is not available; {EVIDENCE} replaces it.")),
    }
    evidence.read_clients(tools).await?;

    let contract = Contract::load();
    let cases = evidence.judge(&contract);
    let holds = cases.iter().all(|(_, holds)| holds.is_ok());
    for (name, holds) in cases {
        outcome.case(name, holds);
    }
    evidence.report(&contract, &mut outcome);
    // If the unchanged contract fails, so does each mutation, which then shows nothing.
    if holds {
        mutations::run(&contract, &evidence, &mut outcome);
    }
    Ok(outcome)
}

impl Evidence {
    /// Replaces `*` with each operation.
    fn expanded(self) -> Self {
        let ids = self.facts.keys().filter_map(|place| place.strip_suffix(".method"));
        let ids: Vec<_> = ids.map(str::to_owned).collect();
        let expand = |place: &str| match place.strip_prefix('*') {
            Some(rest) => ids.iter().map(|id| format!("{id}{rest}")).collect(),
            None => vec![place.to_owned()],
        };
        let facts = self.facts.iter().flat_map(|(place, value)| {
            expand(place).into_iter().map(move |place| (place, value.clone()))
        });
        let statements = self.statements.iter().flat_map(|statement| {
            let places = expand(&statement.place).into_iter();
            places.map(move |place| Statement { place, ..statement.clone() })
        });
        let exceptions = |all: &[Exception]| -> Vec<Exception> {
            let all = all.iter().flat_map(|exception| {
                let places = expand(&exception.place).into_iter();
                places.map(move |place| Exception { place, ..exception.clone() })
            });
            all.collect()
        };
        Self {
            facts: facts.collect(),
            statements: statements.collect(),
            unproven: exceptions(&self.unproven),
            differences: exceptions(&self.differences),
            clients: self.clients.clone(),
        }
    }

    /// Compares the file with the page, in both directions.
    fn compare_with(&self, page: &Page, outcome: &mut Outcome) {
        for (place, value) in &page.facts {
            let name = format!("{EVIDENCE} has the page's {place}, {value}");
            outcome.check(name, self.facts.get(place) == Some(value));
        }
        for (place, value) in &self.facts {
            let name = format!("the page has {place}, {value}");
            outcome.check(name, page.facts.get(place) == Some(value));
        }
        let listed = self.statements.iter().map(|it| (it.place.clone(), it.page.clone()));
        let listed: BTreeSet<_> = listed.collect();
        for (place, text) in &page.statements {
            let name = format!("{EVIDENCE} has the page's statement {text:?} at {place}");
            outcome.check(name, listed.contains(&(place.clone(), text.clone())));
        }
        for (place, text) in &listed {
            let name = format!("the page says {text:?} at {place}");
            outcome.check(name, page.statements.contains(&(place.clone(), text.clone())));
        }
    }

    /// Reads what the installed packages say.
    async fn read_clients(&mut self, tools: &Tools) -> Result<()> {
        let python = tools.python_script("published.py", PYTHON_CLIENT).await?;
        let javascript = tools.node_script("published.mjs", JAVASCRIPT_CLIENT).await?;
        for (mut script, is_python) in [(python, true), (javascript, false)] {
            let facts = tools::run(&mut script).await?;
            let facts: BTreeMap<String, Value> = serde_json::from_str(&facts)?;
            ensure!(!facts.is_empty(), "a client has no facts");
            for (place, value) in facts {
                let by_client = self.clients.entry(place).or_default();
                *(if is_python { &mut by_client.python } else { &mut by_client.javascript }) =
                    Some(value);
            }
        }
        Ok(())
    }

    /// Judges the contract. Returns the name and the result of each case.
    pub fn judge(&self, contract: &Contract) -> Vec<(String, Result<()>)> {
        let facts = Facts::of(contract);
        let mut cases = Vec::new();
        let problems = facts.problems.iter();
        cases.extend(problems.map(|it| (it.clone(), Err(anyhow!("a mark is wrong")))));
        for (place, fact) in &facts.by_place {
            let name = format!("{place} = {}, of {:?}", fact.value, fact.source);
            cases.push((name, self.judge_source(place, fact)));
        }
        for (place, value) in &self.facts {
            let found = facts.by_place.get(place).map(|fact| &fact.value);
            let holds = found == Some(value);
            let holds = holds.then_some(()).with_context(|| format!("the contract: {found:?}"));
            cases.push((format!("the page says {place} = {value}"), holds));
        }
        for Statement { place, page, contract, left_out } in &self.statements {
            let found = facts.by_place.get(place).and_then(|fact| fact.value.as_str());
            let holds = match (contract.as_ref().map(Value::as_str), left_out) {
                (Some(Some(text)), None) => found.is_some_and(|found| found.contains(text)),
                (None, Some(reason)) => {
                    let is_there = found.is_some_and(|found| found.contains(page.as_str()));
                    !reason.trim().is_empty() && !is_there
                }
                _ => false,
            };
            let holds = holds.then_some(()).with_context(|| {
                format!("it is not in the contract as {contract:?}, but as {found:?}")
            });
            cases.push((format!("the page says {page:?} at {place}"), holds));
        }
        for (place, by_client) in &self.clients {
            let fact = facts.by_place.get(place);
            cases.push((
                format!("the clients say {place}"),
                self.judge_client(fact, place, by_client),
            ));
        }
        for exception in &self.unproven {
            let is_needed = facts.by_place.get(&exception.place).is_some_and(|fact| {
                matches!(fact.source, Source::Clients | Source::Later)
                    && !self.clients.contains_key(&exception.place)
            });
            let name = format!("{} is unproven, as it is listed", exception.place);
            cases.push((name, is_needed.then_some(()).context("remove it from the list")));
        }
        cases
    }

    /// Fails unless the fact comes from where its mark says, and needs no other mark.
    fn judge_source(&self, place: &str, fact: &Fact) -> Result<()> {
        let said = self.said(place);
        let on_page = self.facts.get(place).or(said) == Some(&fact.value);
        let is_text = place.ends_with(".description");
        let clients = self.clients.get(place);
        // The project words its own descriptions; the clients need only have one.
        let by_clients =
            clients.is_some_and(|clients| is_text || clients.values().any(|it| *it == fact.value));
        match fact.source {
            Source::Page => ensure!(on_page, "it has no mark, but the page says {said:?}"),
            _ if on_page => bail!("the page says it; it needs no mark"),
            Source::Clients | Source::Later => {
                let is_listed = self.unproven.iter().any(|it| {
                    it.place == place && (is_text || it.value.as_ref() == Some(&fact.value))
                });
                ensure!(by_clients || is_listed, "the clients say {:?}", clients.map(values));
                ensure!(fact.source == Source::Later || !self.is_added(place), "mark it later");
                ensure!(!is_text || said.is_none(), "it says more than the page; mark it project");
            }
            Source::Project => {
                let is_said = by_clients && !(is_text && said.is_some());
                ensure!(!is_said, "the clients say it; mark it clients or later");
            }
        }
        Ok(())
    }

    /// Returns how the contract words the page's statement at this place.
    fn said(&self, place: &str) -> Option<&Value> {
        self.statements.iter().find(|it| it.place == place)?.contract.as_ref()
    }

    /// Whether the place is in a field of a request, or the description of a status, that the page
    /// lacks. The page has all of those that existed when it was written.
    fn is_added(&self, place: &str) -> bool {
        let (owner, word) = place.rsplit_once('.').unwrap_or_default();
        let is_field = owner.contains("Request.properties.");
        let is_status = owner.contains(".responses.") && word == "description";
        let has_owner = |other: &str| other.rsplit_once('.').is_some_and(|(of, _)| of == owner);
        (is_field || is_status)
            && !self.facts.keys().any(|it| has_owner(it))
            && !self.statements.iter().any(|it| has_owner(&it.place))
    }

    /// Fails unless the contract says what the clients say.
    fn judge_client(&self, fact: Option<&Fact>, place: &str, by_client: &ByClient) -> Result<()> {
        let fact =
            fact.with_context(|| format!("the contract does not: {:?}", values(by_client)))?;
        let agrees = |value: &Value| place.ends_with(".description") || *value == fact.value;
        let agree = by_client.values().all(agrees);
        let is_listed = self.differences.iter().any(|it| it.place == place);
        ensure!(agree || is_listed, "the contract says {}: {:?}", fact.value, values(by_client));
        ensure!(!(agree && is_listed), "it is listed as a difference, but there is none");
        Ok(())
    }

    /// Reports how many facts each source shows.
    fn report(&self, contract: &Contract, outcome: &mut Outcome) {
        let facts = Facts::of(contract).by_place;
        let count = |source| facts.values().filter(|fact| fact.source == source).count();
        let left_out = self.statements.iter().filter(|it| it.left_out.is_some()).count();
        outcome.note(format!(
            "Of the contract's {} facts, {} are on the page, {} are in the clients, {} were added \
             later, and {} are the project's.",
            facts.len(),
            count(Source::Page),
            count(Source::Clients),
            count(Source::Later),
            count(Source::Project),
        ));
        outcome.note(format!(
            "The page makes {} statements in words; {left_out} are left out, with a reason each.",
            self.statements.len()
        ));
        let only = |python: bool, javascript: bool| -> Vec<&str> {
            let of = self.clients.iter().filter(|(place, by_client)| {
                (by_client.python.is_some(), by_client.javascript.is_some()) == (python, javascript)
                    && facts.contains_key(*place)
            });
            of.map(|(place, _)| place.as_str()).collect()
        };
        outcome.note(format!("{} facts are in both clients.", only(true, true).len()));
        for (name, python) in [("Python", true), ("JavaScript", false)] {
            let places = only(python, !python);
            outcome.note(format!(
                "{} facts are in the {name} client alone: {}.",
                places.len(),
                places.join(", ")
            ));
        }
        let lists = [("Not shown by the packages", &self.unproven), ("Differs", &self.differences)];
        for (title, exceptions) in lists {
            let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
            for exception in exceptions {
                *by_reason.entry(&exception.reason).or_default() += 1;
            }
            for (reason, count) in by_reason {
                outcome.note(format!("{title}, {count} facts: {reason}"));
            }
        }
    }

    /// Whether the project decides this fact: its own value, or the wording of a description that
    /// the page does not have.
    pub fn is_own(&self, place: &str, fact: &Fact) -> bool {
        let is_text = place.ends_with(".description") && fact.source != Source::Page;
        self.said(place).is_none() && (is_text || fact.source == Source::Project)
    }
}

fn values(by_client: &ByClient) -> Vec<&Value> {
    by_client.values().collect()
}
