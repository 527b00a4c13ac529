//! What a permit asks before anything else, as far as facts answer it without Cedar: a permit that is ruled out here need not be
//! evaluated. Forbids are never ruled out by more than their scope, so that a mistake in here could not open anything.

use crate::slice::{Facts, ResourceFacts};
use api::terms::PrincipalKind;
use cedar_policy::{Policy, pst};
use std::collections::BTreeSet;

/// The first conditions of a policy, in the order in which Cedar evaluates them, up to one that is not understood: behind that,
/// nothing counts, because it might err.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    parts: Vec<Part>,
    /// Every condition is among them.
    whole: bool,
}

/// A condition and what it must be for the policy to speak.
#[derive(Debug, Clone)]
struct Part {
    wanted: bool,
    term: Term,
}

impl Guard {
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut parts = Vec::new();
        let Ok(tree) = policy.to_pst() else { return Self { parts, whole: false } };
        // `unless { a || b }` is `!a && !b`, in this order.
        let whole = tree.body().clauses().iter().all(|clause| match clause {
            pst::Clause::When(expr) => split(expr, true, &mut parts),
            pst::Clause::Unless(expr) => split(expr, false, &mut parts),
        });
        Self { parts, whole }
    }

    /// Whether the policy is certain to be false, without an error, for these facts. Its scope is not looked at.
    pub(crate) fn rules_out(&self, facts: &Facts) -> bool {
        self.verdict(facts) == Some(false)
    }

    /// What the conditions come to, if that is certain.
    pub(crate) fn verdict(&self, facts: &Facts) -> Option<bool> {
        for Part { wanted, term } in &self.parts {
            match term.value(facts)? {
                Value::Bool(is) if is == *wanted => {}
                Value::Bool(_) => return Some(false),
                _ => return None,
            }
        }
        self.whole.then_some(true)
    }

    /// Adds the facts that the conditions are about, and the texts that they are compared with.
    pub(crate) fn mentions(&self, facts: &mut BTreeSet<Fact>, texts: &mut BTreeSet<String>) {
        self.parts.iter().for_each(|part| part.term.mentions(facts, texts));
    }
}

/// Adds the parts of an expression that must be `wanted`; false at the first that is not understood.
fn split(expr: &pst::Expr, wanted: bool, parts: &mut Vec<Part>) -> bool {
    let joint = if wanted { pst::BinaryOp::And } else { pst::BinaryOp::Or };
    match expr {
        pst::Expr::BinaryOp { op, left, right } if *op == joint => {
            split(left, wanted, parts) && split(right, wanted, parts)
        }
        other => match Term::of(other) {
            Some(term) => {
                parts.push(Part { wanted, term });
                true
            }
            None => false,
        },
    }
}

/// An expression of the few that are understood.
#[derive(Debug, Clone)]
enum Term {
    Bool(bool),
    Long(i64),
    Text(String),
    Words(Vec<String>),
    Kind(PrincipalKind),
    Fact(Fact),
    Not(Box<Self>),
    IsEmpty(Box<Self>),
    Op(Op, Box<Self>, Box<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    And,
    Or,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Contains,
    ContainsAll,
    ContainsAny,
}

/// What a term comes to.
#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Bool(bool),
    Long(i64),
    Text(&'a str),
    Words(Vec<&'a str>),
}

impl Term {
    fn of(expr: &pst::Expr) -> Option<Self> {
        let boxed = |expr: &pst::Expr| Self::of(expr).map(Box::new);
        Some(match expr {
            pst::Expr::Literal(pst::Literal::Bool(is)) => Self::Bool(*is),
            pst::Expr::Literal(pst::Literal::Long(number)) => Self::Long(*number),
            pst::Expr::Literal(pst::Literal::String(text)) => Self::Text(text.to_string()),
            pst::Expr::Set(items) => Self::Words(items.iter().map(|item| word(item)).collect::<Option<_>>()?),
            pst::Expr::GetAttr { .. } => Self::Fact(Fact::of(expr)?),
            pst::Expr::Is { expr, entity_type, in_expr: None }
                if matches!(**expr, pst::Expr::Var(pst::Var::Principal)) =>
            {
                Self::Kind(kind(&entity_type.to_string())?)
            }
            pst::Expr::UnaryOp { op: pst::UnaryOp::Not, expr } => Self::Not(boxed(expr)?),
            pst::Expr::UnaryOp { op: pst::UnaryOp::IsEmpty, expr } => Self::IsEmpty(boxed(expr)?),
            pst::Expr::BinaryOp { op, left, right } => Self::Op(Op::of(*op)?, boxed(left)?, boxed(right)?),
            _ => return None,
        })
    }

    /// None: not known, or an error, which Cedar is to find.
    fn value<'a>(&'a self, facts: &'a Facts) -> Option<Value<'a>> {
        Some(match self {
            Self::Bool(is) => Value::Bool(*is),
            Self::Long(number) => Value::Long(*number),
            Self::Text(text) => Value::Text(text),
            Self::Words(words) => Value::Words(words.iter().map(String::as_str).collect()),
            Self::Kind(kind) => Value::Bool(facts.principal.kind == *kind),
            Self::Fact(fact) => fact.value(facts)?,
            Self::Not(term) => match term.value(facts)? {
                Value::Bool(is) => Value::Bool(!is),
                _ => return None,
            },
            Self::IsEmpty(term) => match term.value(facts)? {
                Value::Words(words) => Value::Bool(words.is_empty()),
                _ => return None,
            },
            Self::Op(op @ (Op::And | Op::Or), left, right) => {
                // What is on the right does not count where the left decides.
                match (left.value(facts)?, *op == Op::And) {
                    (Value::Bool(false), true) => Value::Bool(false),
                    (Value::Bool(true), false) => Value::Bool(true),
                    (Value::Bool(_), _) => right.value(facts).filter(|value| matches!(value, Value::Bool(_)))?,
                    _ => return None,
                }
            }
            Self::Op(op, left, right) => Value::Bool(op.holds(&left.value(facts)?, &right.value(facts)?)?),
        })
    }
}

impl Term {
    fn mentions(&self, facts: &mut BTreeSet<Fact>, texts: &mut BTreeSet<String>) {
        match self {
            Self::Bool(_) | Self::Long(_) => {}
            Self::Text(text) => drop(texts.insert(text.clone())),
            Self::Words(words) => texts.extend(words.iter().cloned()),
            Self::Kind(_) => drop(facts.insert(Fact::PrincipalKind)),
            Self::Fact(fact) => drop(facts.insert(*fact)),
            Self::Not(term) | Self::IsEmpty(term) => term.mentions(facts, texts),
            Self::Op(_, left, right) => {
                left.mentions(facts, texts);
                right.mentions(facts, texts);
            }
        }
    }
}

impl Op {
    const fn of(op: pst::BinaryOp) -> Option<Self> {
        Some(match op {
            pst::BinaryOp::And => Self::And,
            pst::BinaryOp::Or => Self::Or,
            pst::BinaryOp::Eq => Self::Eq,
            pst::BinaryOp::NotEq => Self::NotEq,
            pst::BinaryOp::Less => Self::Less,
            pst::BinaryOp::LessEq => Self::LessEq,
            pst::BinaryOp::Greater => Self::Greater,
            pst::BinaryOp::GreaterEq => Self::GreaterEq,
            pst::BinaryOp::Contains => Self::Contains,
            pst::BinaryOp::ContainsAll => Self::ContainsAll,
            pst::BinaryOp::ContainsAny => Self::ContainsAny,
            _ => return None,
        })
    }

    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
        use Value::{Bool, Long, Text, Words};
        Some(match (self, left, right) {
            (Self::Eq, Bool(_), Bool(_)) | (Self::Eq, Long(_), Long(_)) | (Self::Eq, Text(_), Text(_)) => left == right,
            (Self::NotEq, Bool(_), Bool(_)) | (Self::NotEq, Long(_), Long(_)) | (Self::NotEq, Text(_), Text(_)) => {
                left != right
            }
            (Self::Less, Long(a), Long(b)) => a < b,
            (Self::LessEq, Long(a), Long(b)) => a <= b,
            (Self::Greater, Long(a), Long(b)) => a > b,
            (Self::GreaterEq, Long(a), Long(b)) => a >= b,
            (Self::Contains, Words(words), Text(word)) => words.contains(word),
            (Self::ContainsAll, Words(all), Words(wanted)) => wanted.iter().all(|word| all.contains(word)),
            (Self::ContainsAny, Words(all), Words(wanted)) => wanted.iter().any(|word| all.contains(word)),
            _ => return None,
        })
    }
}

/// A fact that guards may use: every one that is no time and no entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    PrincipalKind,
    Active,
    Clearance,
    Roles,
    Envs,
    Class,
    Env,
    Kind,
    Owner,
    Quarantined,
    Held,
    Residency,
    Solo,
    Auth,
    Own,
    MfaApplicable,
    Approved,
    Task,
    Reasoned,
    Confirmed,
    Roots,
    Region,
}

impl Fact {
    pub(crate) fn of(expr: &pst::Expr) -> Option<Self> {
        let pst::Expr::GetAttr { expr, attr } = expr else { return None };
        Some(match (&**expr, attr.as_str()) {
            (pst::Expr::Var(pst::Var::Principal), "active") => Self::Active,
            (pst::Expr::Var(pst::Var::Principal), "clearance") => Self::Clearance,
            (pst::Expr::Var(pst::Var::Principal), "roles") => Self::Roles,
            (pst::Expr::Var(pst::Var::Principal), "envs") => Self::Envs,
            (pst::Expr::Var(pst::Var::Resource), "class") => Self::Class,
            (pst::Expr::Var(pst::Var::Resource), "env") => Self::Env,
            (pst::Expr::Var(pst::Var::Resource), "kind") => Self::Kind,
            (pst::Expr::Var(pst::Var::Resource), "owner") => Self::Owner,
            (pst::Expr::Var(pst::Var::Resource), "quarantined") => Self::Quarantined,
            (pst::Expr::Var(pst::Var::Resource), "held") => Self::Held,
            (pst::Expr::Var(pst::Var::Resource), "residency") => Self::Residency,
            (pst::Expr::Var(pst::Var::Context), "solo") => Self::Solo,
            (pst::Expr::Var(pst::Var::Context), "auth") => Self::Auth,
            (pst::Expr::Var(pst::Var::Context), "own") => Self::Own,
            (pst::Expr::Var(pst::Var::Context), "approved") => Self::Approved,
            (pst::Expr::Var(pst::Var::Context), "task") => Self::Task,
            (pst::Expr::Var(pst::Var::Context), "reasoned") => Self::Reasoned,
            (pst::Expr::Var(pst::Var::Context), "confirmed") => Self::Confirmed,
            (pst::Expr::Var(pst::Var::Context), "roots") => Self::Roots,
            (pst::Expr::Var(pst::Var::Context), "region") => Self::Region,
            (pst::Expr::GetAttr { expr, attr: mfa }, "applicable")
                if mfa == "mfa" && matches!(**expr, pst::Expr::Var(pst::Var::Context)) =>
            {
                Self::MfaApplicable
            }
            _ => return None,
        })
    }

    fn value(self, facts: &Facts) -> Option<Value<'_>> {
        let (principal, context) = (&facts.principal, &facts.context);
        // Only artifacts have attributes; asking others for one is an error.
        let artifact = || match &facts.resource {
            ResourceFacts::Artifact(artifact) => Some(artifact),
            ResourceFacts::Vault | ResourceFacts::Workspace(_) => None,
        };
        Some(match self {
            // Only `is` asks for it.
            Self::PrincipalKind => return None,
            Self::Active => Value::Bool(principal.active),
            Self::Clearance => Value::Long(principal.clearance.number().into()),
            Self::Roles => Value::Words(principal.roles.iter().map(|role| role.word()).collect()),
            Self::Envs => Value::Words(principal.envs.iter().map(|env| env.word()).collect()),
            Self::Class => Value::Long(artifact()?.class.number().into()),
            Self::Env => Value::Text(artifact()?.env.word()),
            Self::Kind => Value::Text(artifact()?.kind.word()),
            Self::Owner => Value::Text(&artifact()?.owner),
            Self::Quarantined => Value::Bool(artifact()?.quarantined),
            Self::Held => Value::Bool(artifact()?.held),
            Self::Residency => Value::Words(artifact()?.residency.iter().map(String::as_str).collect()),
            Self::Solo => Value::Bool(context.solo),
            Self::Auth => Value::Text(context.auth.word()),
            Self::Own => Value::Bool(context.own),
            Self::MfaApplicable => Value::Bool(context.mfa_applicable),
            Self::Approved => Value::Words(context.approved.iter().map(String::as_str).collect()),
            Self::Task => Value::Bool(context.task),
            Self::Reasoned => Value::Bool(context.reasoned),
            Self::Confirmed => Value::Bool(context.confirmed),
            Self::Roots => Value::Words(context.roots.iter().map(|root| root.word()).collect()),
            Self::Region => Value::Text(&context.region),
        })
    }
}

fn word(expr: &pst::Expr) -> Option<String> {
    match expr {
        pst::Expr::Literal(pst::Literal::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// The kind of principal that a type of the schema stands for.
pub(super) fn kind(name: &str) -> Option<PrincipalKind> {
    match name {
        "User" => Some(PrincipalKind::User),
        "Service" => Some(PrincipalKind::Service),
        "Workload" => Some(PrincipalKind::Workload),
        _ => None,
    }
}
