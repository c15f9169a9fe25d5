//! Builds a template from its pieces: bodies in bodies, and the templates that it defines.

use std::collections::BTreeMap;

use super::ast::{Branches, Node};
use super::lex::{Kind, Piece, Token, pieces, syntax};
use super::pipeline::{Reader, Scope};
use super::{MAIN, Place, Template, TemplateError};

/// Parses a template without data, so that a wrong one is found before anything runs.
pub fn parse(template: &str) -> Result<Template, TemplateError> {
    let mut parser = Parser {
        pieces: pieces(template)?.into_iter(),
        scope: Scope::new(0),
        ranges: 0,
        definitions: BTreeMap::new(),
    };
    let (nodes, ending) = parser.body(true)?;
    match ending {
        Ending::Text => {}
        Ending::End(place) => return Err(syntax(place, "unexpected {{end}}")),
        Ending::Else(place, _) => return Err(syntax(place, "unexpected {{else}}")),
    }
    parser.define(MAIN.to_owned(), nodes, Place { line: 1, column: 1 })?;
    Ok(Template {
        definitions: parser.definitions,
    })
}

/// What a body ends with.
enum Ending<'s> {
    /// The end of the template.
    Text,
    End(Place),
    /// With what stands behind the word.
    Else(Place, Vec<Token<'s>>),
}

struct Parser<'s> {
    pieces: std::vec::IntoIter<Piece<'s>>,
    scope: Scope,
    /// Ranges around the place, in which one can break and continue.
    ranges: usize,
    definitions: BTreeMap<String, Vec<Node>>,
}

impl<'s> Parser<'s> {
    fn body(&mut self, top: bool) -> Result<(Vec<Node>, Ending<'s>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, place) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Action(tokens, place) => (trimmed(tokens), place),
            };
            let keyword = tokens.first().filter(|token| token.kind == Kind::Word);
            let (keyword, place) = match keyword {
                Some(token) => (token.text, token.place),
                None => ("", place),
            };
            let rest = &tokens[1.min(tokens.len())..];
            match keyword {
                "end" => {
                    self.reader(rest, place).finish("end")?;
                    return Ok((nodes, Ending::End(place)));
                }
                "else" => return Ok((nodes, Ending::Else(place, trimmed(rest.to_vec())))),
                "define" if top => self.definition(rest, place)?,
                "block" => nodes.push(self.block(rest, place)?),
                "template" => nodes.push(self.call(rest, place)?),
                "break" | "continue" => nodes.push(self.jump(keyword, rest, place)?),
                "if" | "with" | "range" => nodes.push(self.control(keyword, rest, place)?),
                _ => {
                    let pipeline = self.reader(&tokens, place).pipeline("command")?;
                    nodes.push(Node::Action(pipeline));
                }
            }
        }
        Ok((nodes, Ending::Text))
    }

    fn reader<'t>(&'t mut self, tokens: &'t [Token<'s>], open: Place) -> Reader<'t, 's> {
        Reader {
            tokens,
            open,
            scope: &mut self.scope,
        }
    }

    fn control(
        &mut self,
        keyword: &str,
        tokens: &[Token<'s>],
        place: Place,
    ) -> Result<Node, TemplateError> {
        self.scope.enter(place)?;
        let visible = self.scope.names.len();
        let pipeline = self.reader(tokens, place).pipeline(keyword)?;
        let is_range = usize::from(keyword == "range");
        self.ranges += is_range;
        let (then, ending) = self.body(false)?;
        self.ranges -= is_range;
        let otherwise = match ending {
            Ending::End(_) => Vec::new(),
            Ending::Text => return Err(unclosed(place, keyword)),
            Ending::Else(place, rest) => self.otherwise(keyword, &rest, place)?,
        };
        self.scope.names.truncate(visible);
        self.scope.nesting -= 1;
        let branches = Branches {
            pipeline,
            then,
            otherwise,
        };
        Ok(match keyword {
            "if" => Node::If(branches),
            "with" => Node::With(branches),
            _ => Node::Range(branches),
        })
    }

    // `{{else if}}` and `{{else with}}` share the end of what they continue.
    fn otherwise(
        &mut self,
        keyword: &str,
        rest: &[Token<'s>],
        place: Place,
    ) -> Result<Vec<Node>, TemplateError> {
        match rest.first() {
            Some(next) if next.kind == Kind::Word && next.text == keyword && keyword != "range" => {
                Ok(vec![self.control(keyword, &rest[1..], next.place)?])
            }
            _ => {
                self.reader(rest, place).finish("else")?;
                let (nodes, ending) = self.body(false)?;
                self.closed(ending, place, "else")?;
                Ok(nodes)
            }
        }
    }

    fn closed(&self, ending: Ending<'_>, open: Place, what: &str) -> Result<(), TemplateError> {
        match ending {
            Ending::End(_) => Ok(()),
            Ending::Text => Err(unclosed(open, what)),
            Ending::Else(place, _) => Err(syntax(place, "expected end; found {{else}}")),
        }
    }

    fn jump(
        &mut self,
        keyword: &str,
        rest: &[Token<'s>],
        place: Place,
    ) -> Result<Node, TemplateError> {
        self.reader(rest, place).finish(keyword)?;
        if self.ranges == 0 {
            let message = format!("{{{{{keyword}}}}} outside {{{{range}}}}");
            return Err(syntax(place, message));
        }
        Ok(match keyword {
            "break" => Node::Break,
            _ => Node::Continue,
        })
    }

    fn call(&mut self, tokens: &[Token<'s>], place: Place) -> Result<Node, TemplateError> {
        let mut reader = self.reader(tokens, place);
        let name = reader.name("template clause")?;
        let argument = match reader.is_done() {
            true => None,
            false => Some(reader.pipeline("template clause")?),
        };
        Ok(Node::Call {
            name,
            argument,
            place,
        })
    }

    // A definition that is called where it stands.
    fn block(&mut self, tokens: &[Token<'s>], place: Place) -> Result<Node, TemplateError> {
        let mut reader = self.reader(tokens, place);
        let name = reader.name("block clause")?;
        let argument = Some(reader.pipeline("block clause")?);
        self.defined(name.clone(), place, "block")?;
        Ok(Node::Call {
            name,
            argument,
            place,
        })
    }

    fn definition(&mut self, tokens: &[Token<'s>], place: Place) -> Result<(), TemplateError> {
        let mut reader = self.reader(tokens, place);
        let name = reader.name("define clause")?;
        reader.finish("define clause")?;
        self.defined(name, place, "define")
    }

    // The body of a definition sees no variables but `$`, and no range.
    fn defined(&mut self, name: String, place: Place, what: &str) -> Result<(), TemplateError> {
        let mut scope = Scope::new(self.scope.nesting);
        scope.enter(place)?;
        let outer = std::mem::replace(&mut self.scope, scope);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.body(false)?;
        self.closed(ending, place, what)?;
        self.scope = outer;
        self.ranges = ranges;
        self.define(name, nodes, place)
    }

    // As in Go, an empty definition gives way to another one.
    fn define(
        &mut self,
        name: String,
        nodes: Vec<Node>,
        place: Place,
    ) -> Result<(), TemplateError> {
        match self.definitions.get(&name) {
            Some(known) if !is_empty(known) => match is_empty(&nodes) {
                true => Ok(()),
                false => {
                    let message = format!("multiple definition of template {name:?}");
                    Err(syntax(place, message))
                }
            },
            _ => {
                self.definitions.insert(name, nodes);
                Ok(())
            }
        }
    }
}

fn trimmed(mut tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let is_space = |token: &Token<'_>| token.kind == Kind::Space;
    while tokens.last().is_some_and(is_space) {
        tokens.pop();
    }
    let start = tokens.iter().take_while(|token| is_space(token)).count();
    tokens.drain(..start);
    tokens
}

fn unclosed(place: Place, what: &str) -> TemplateError {
    syntax(place, format!("{{{{{what}}}}} has no {{{{end}}}}"))
}

fn is_empty(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
