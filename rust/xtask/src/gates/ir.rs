//! The LLVM IR that the Rust object was generated from, as far as the gates read it.

use std::collections::BTreeMap;

/// The functions of a `.ll` file.
pub(crate) struct Module {
    /// By unmangled or mangled symbol name.
    pub(crate) functions: BTreeMap<String, Function>,
    /// Other names of functions, and what they stand for.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// One `define`.
#[derive(Default)]
pub(crate) struct Function {
    /// Each parameter as written: type, attributes, name.
    pub(crate) parameters: Vec<String>,
    /// Alignment in bytes of each stack object and of each argument passed in memory, with its
    /// line.
    pub(crate) stack_objects: Vec<(u64, String)>,
}

impl Module {
    /// The function that a symbol names, directly or as an alias.
    pub(crate) fn function(&self, symbol: &str) -> Option<&Function> {
        let name = self.aliases.get(symbol).map_or(symbol, String::as_str);
        self.functions.get(name)
    }

    /// Reads the text of a `.ll` file.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut functions, mut aliases) = (BTreeMap::new(), BTreeMap::new());
        let mut current: Option<(String, Function)> = None;
        for line in text.lines() {
            if line.starts_with("define ") {
                current = parse_define(line);
            } else if line.starts_with('@') {
                aliases.extend(parse_alias(line));
            } else if line == "}" {
                functions.extend(current.take());
            } else if line.contains(" = alloca ")
                && let Some((_, function)) = &mut current
            {
                function
                    .stack_objects
                    .push((alignment(line), line.trim().to_owned()));
            }
        }
        Self { functions, aliases }
    }
}

fn parse_define(line: &str) -> Option<(String, Function)> {
    let (_, tail) = line.split_once('@')?;
    let (name, tail) = take_name(tail, '(')?;
    let parameters = split_parameters(tail.strip_prefix('(')?);
    let stack_objects = parameters
        .iter()
        .filter(|p| p.contains("byval("))
        .map(|p| (alignment(p), p.clone()))
        .collect();
    Some((
        name.to_owned(),
        Function {
            parameters,
            stack_objects,
        },
    ))
}

/// `@name = … alias type, ptr @function`.
fn parse_alias(line: &str) -> Option<(String, String)> {
    let (head, tail) = line.split_once(" alias ")?;
    let (name, _) = take_name(head.strip_prefix('@')?, ' ')?;
    let (_, target) = tail.split_once('@')?;
    let (target, _) = take_name(target, ',')?;
    Some((name.to_owned(), target.to_owned()))
}

/// Splits a name, quoted or not, from what follows it.
fn take_name(text: &str, end: char) -> Option<(&str, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => Some(text.split_at(text.find(end).unwrap_or(text.len()))),
    }
}

/// Splits at the commas outside brackets, up to the bracket that closes the list.
fn split_parameters(text: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .iter()
        .map(|p| p.trim().to_owned())
        .filter(|p| !p.is_empty())
        .collect()
}

/// The number behind the last `align`; LLVM always prints one for stack objects.
fn alignment(text: &str) -> u64 {
    let digits = text.rsplit_once("align ").map_or("", |(_, tail)| tail);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Module;

    #[test]
    fn a_module_lists_parameters_and_stack_objects_of_each_function() {
        let module = Module::parse(concat!(
            "define dso_local noundef i32 @plain(ptr noundef %d, i8 noundef zeroext %x) unnamed_addr #0 {\n",
            "  %a = alloca [32 x i8], align 16\n",
            "  %b = alloca [4 x i8], align 4\n",
            "}\n",
            "define internal void @\"quo$ted\"({ i64, i64 } %pair, ptr byval([16 x i8]) align 16 %c) {\n",
            "}\n",
            "@other = dso_local alias i32 (ptr, i8), ptr @plain\n",
        ));
        assert_eq!(
            module.function("other").map(|f| f.parameters.len()),
            Some(2)
        );
        let plain = &module.functions["plain"];
        assert_eq!(
            plain.parameters,
            ["ptr noundef %d", "i8 noundef zeroext %x"]
        );
        let alignments: Vec<u64> = plain.stack_objects.iter().map(|o| o.0).collect();
        assert_eq!(alignments, [16, 4]);
        let quoted = &module.functions["quo$ted"];
        assert_eq!(quoted.parameters.len(), 2);
        assert_eq!(quoted.stack_objects[0].0, 16);
    }
}
