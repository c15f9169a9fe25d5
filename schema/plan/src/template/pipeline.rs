//! Parses what stands in an action: commands, their operands, and the variables that take their value.

use super::ast::{Constant, Operand, OperandKind, Pipeline};
use super::functions::Function;
use super::lex::{Kind, Token, syntax};
use super::literal::{self, Refused};
use super::{MAX_NESTING, Place, TemplateError, TemplateErrorKind};

const KEYWORDS: [&str; 10] = [
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
];

/// The variables that can be seen at a place of the template.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) names: Vec<String>,
    /// Blocks and parentheses around the place.
    pub(super) nesting: usize,
}

impl Scope {
    pub(super) fn new(nesting: usize) -> Self {
        let names = vec!["$".to_owned()];
        Self { names, nesting }
    }

    pub(super) fn enter(&mut self, place: Place) -> Result<(), TemplateError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} blocks and parentheses in each other");
            return Err(place.error(TemplateErrorKind::Limit, message));
        }
        Ok(())
    }
}

/// Reads the tokens of one action.
pub(super) struct Reader<'t, 's> {
    pub(super) tokens: &'t [Token<'s>],
    /// Where the action begins.
    pub(super) open: Place,
    pub(super) scope: &'t mut Scope,
}

impl<'s> Reader<'_, 's> {
    fn peek(&self) -> Option<Token<'s>> {
        self.tokens.first().copied()
    }

    fn next(&mut self) -> Option<Token<'s>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|token| token.kind == Kind::Space) {
            self.next();
        }
    }

    /// The place of what comes next.
    fn place(&self) -> Place {
        self.peek().map_or(self.open, |token| token.place)
    }

    /// The quoted name after `define`, `block` or `template`.
    pub(super) fn name(&mut self, context: &str) -> Result<String, TemplateError> {
        self.skip_space();
        match self.next() {
            Some(token) if matches!(token.kind, Kind::Quoted | Kind::Raw) => {
                match constant(&token)? {
                    Constant::Text(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
                    _ => Err(unexpected(token, context)),
                }
            }
            Some(token) => Err(unexpected(token, context)),
            None => Err(syntax(self.open, format!("missing name in {context}"))),
        }
    }

    /// Fails unless the action ends here.
    pub(super) fn finish(&mut self, context: &str) -> Result<(), TemplateError> {
        self.skip_space();
        match self.peek() {
            Some(token) => Err(unexpected(token, context)),
            None => Ok(()),
        }
    }

    /// Whether nothing but space is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.skip_space();
        self.tokens.is_empty()
    }

    /// All of the action that is left.
    pub(super) fn pipeline(&mut self, context: &str) -> Result<Pipeline, TemplateError> {
        let pipeline = self.pipeline_until(context, None)?;
        self.finish(context)?;
        Ok(pipeline)
    }

    fn pipeline_until(
        &mut self,
        context: &str,
        end: Option<&str>,
    ) -> Result<Pipeline, TemplateError> {
        self.skip_space();
        let place = self.place();
        let (variables, assigns) = self.variables(context)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None if end.is_none() => break,
                None => return Err(syntax(self.open, "unclosed left paren")),
                Some(token) if is(token, ")") => {
                    if end != Some(")") {
                        return Err(syntax(token.place, "unexpected right paren"));
                    }
                    self.next();
                    break;
                }
                Some(token) if starts_operand(token) => commands.push(self.command()?),
                Some(token) => return Err(unexpected(token, context)),
            }
        }
        if commands.is_empty() {
            return Err(syntax(place, format!("missing value for {context}")));
        }
        check_stages(&commands)?;
        Ok(Pipeline {
            place,
            variables,
            assigns,
            commands,
        })
    }

    // `$x :=`, `$x =`, and in a range `$i, $x :=` or `$i, $x =`.
    fn variables(&mut self, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let mut variables: Vec<String> = Vec::new();
        loop {
            let before = self.tokens;
            let Some(name) = self.peek().filter(|token| token.kind == Kind::Variable) else {
                return Ok((variables, false));
            };
            self.next();
            self.skip_space();
            let operator = self.peek();
            if let Some(operator) = operator.filter(|token| is(*token, "=") || is(*token, ":=")) {
                self.next();
                self.declare(name.text, &mut variables);
                return Ok((variables, operator.text == "="));
            }
            if !operator.is_some_and(|token| is(token, ",")) {
                self.tokens = before;
                return Ok((variables, false));
            }
            self.next();
            self.declare(name.text, &mut variables);
            self.skip_space();
            let more = self
                .peek()
                .is_some_and(|token| token.kind == Kind::Variable);
            if context != "range" || variables.len() > 1 {
                let message = format!("too many declarations in {context}");
                return Err(syntax(name.place, message));
            }
            if !more {
                return Err(syntax(name.place, "range can only initialize variables"));
            }
        }
    }

    fn declare(&mut self, name: &str, variables: &mut Vec<String>) {
        variables.push(name.to_owned());
        self.scope.names.push(name.to_owned());
    }

    fn command(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            let place = self.place();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            match self.peek() {
                Some(token) if token.kind == Kind::Space => {}
                None => break,
                Some(token) if is(token, ")") => break,
                Some(token) if is(token, "|") => {
                    // Go lets the last command end with one too.
                    self.next();
                    break;
                }
                Some(token) => return Err(unexpected(token, "operand")),
            }
            if operands.is_empty() {
                return Err(syntax(place, "empty command"));
            }
        }
        match operands.is_empty() {
            true => Err(syntax(self.place(), "empty command")),
            false => Ok(operands),
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        let mut chain = Vec::new();
        while let Some(field) = self.peek().filter(|token| token.kind == Kind::Field) {
            self.next();
            chain.push(field.text[1..].to_owned());
        }
        if chain.is_empty() {
            return Ok(Some(operand));
        }
        match &mut operand.kind {
            OperandKind::Field(path) | OperandKind::Variable(_, path) => path.append(&mut chain),
            OperandKind::Dot | OperandKind::Nil | OperandKind::Constant(_) => {
                return Err(syntax(
                    operand.place,
                    "unexpected . after a constant or dot",
                ));
            }
            _ => {
                let place = operand.place;
                operand = Operand {
                    place,
                    kind: OperandKind::Chain(Box::new(operand), chain),
                };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, TemplateError> {
        let Some(token) = self.peek() else {
            return Ok(None);
        };
        let kind = match token.kind {
            Kind::Word => self.word(token)?,
            Kind::Dot => OperandKind::Dot,
            Kind::Field => OperandKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Variable if self.scope.names.iter().any(|name| name == token.text) => {
                OperandKind::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Variable => {
                let message = format!("undefined variable {:?}", token.text);
                return Err(syntax(token.place, message));
            }
            Kind::Punctuation if token.text == "(" => {
                self.next();
                self.scope.enter(token.place)?;
                let inner = self.pipeline_until("parenthesized pipeline", Some(")"))?;
                self.scope.nesting -= 1;
                let kind = OperandKind::Parenthesized(Box::new(inner));
                return Ok(Some(Operand {
                    place: token.place,
                    kind,
                }));
            }
            Kind::Space | Kind::Punctuation => return Ok(None),
            _ => OperandKind::Constant(constant(&token)?),
        };
        self.next();
        Ok(Some(Operand {
            place: token.place,
            kind,
        }))
    }

    fn word(&self, token: Token<'_>) -> Result<OperandKind, TemplateError> {
        match token.text {
            "true" | "false" => Ok(OperandKind::Constant(Constant::Bool(token.text == "true"))),
            "nil" => Ok(OperandKind::Nil),
            word if KEYWORDS.contains(&word) => Err(unexpected(token, "operand")),
            word => match Function::named(word) {
                Some(function) => Ok(OperandKind::Function(function)),
                None => Err(syntax(
                    token.place,
                    format!("function {word:?} not defined"),
                )),
            },
        }
    }
}

fn is(token: Token<'_>, punctuation: &str) -> bool {
    token.kind == Kind::Punctuation && token.text == punctuation
}

fn starts_operand(token: Token<'_>) -> bool {
    match token.kind {
        Kind::Space => false,
        Kind::Punctuation => token.text == "(",
        _ => true,
    }
}

fn unexpected(token: Token<'_>, context: &str) -> TemplateError {
    syntax(
        token.place,
        format!("unexpected {:?} in {context}", token.text),
    )
}

// Only the first command may be a plain value: the others get an argument.
fn check_stages(commands: &[Vec<Operand>]) -> Result<(), TemplateError> {
    for (stage, command) in commands.iter().enumerate().skip(1) {
        let first = &command[0];
        let plain = matches!(
            first.kind,
            OperandKind::Dot | OperandKind::Nil | OperandKind::Constant(_)
        );
        if plain {
            let message = format!("non executable command in pipeline stage {}", stage + 1);
            return Err(syntax(first.place, message));
        }
    }
    Ok(())
}

fn constant(token: &Token<'_>) -> Result<Constant, TemplateError> {
    let constant = match token.kind {
        Kind::Quoted => literal::string(token.text).map(Constant::Text),
        Kind::Character => literal::character(token.text).map(Constant::Integer),
        Kind::Number => literal::number(token.text),
        _ => {
            let inner = &token.text[1..token.text.len() - 1];
            Ok(Constant::Text(inner.as_bytes().to_vec()))
        }
    };
    constant.map_err(|refused| match refused {
        Refused::Bad(message) => syntax(token.place, message),
        Refused::Unsupported(what) => token.place.error(
            TemplateErrorKind::Unsupported,
            format!("{what} is not supported yet"),
        ),
    })
}
