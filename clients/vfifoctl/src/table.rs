// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! A table of text in columns.

/// On which side the text of a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table. The last column is text of any length; in a terminal it is wrapped.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[(&'static str, Side)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has a text for each column.
    pub fn row(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The text of the table, for a terminal of that width, or of any width.
    pub fn render(&self, width: Option<usize>) -> String {
        let titles = self
            .columns
            .iter()
            .map(|(title, _)| title.to_string())
            .collect();
        let rows: Vec<Vec<String>> = std::iter::once(titles)
            .chain(self.rows.iter().cloned())
            .collect();
        let last = self.columns.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                rows.iter()
                    .map(|row| length(&row[column]))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let indent = widths.iter().sum::<usize>() + 2 * widths.len();
        let mut text = String::new();
        for row in &rows {
            for (column, cell) in row[..last].iter().enumerate() {
                let fill = " ".repeat(widths[column] - length(cell));
                match self.columns[column].1 {
                    Side::Left => text += &format!("{cell}{fill}  "),
                    Side::Right => text += &format!("{fill}{cell}  "),
                }
            }
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent));
            let (indent, room) = match width {
                // Too narrow: the last column is below the others.
                Some(width) if room < MIN_LAST => {
                    end_line(&mut text);
                    if row[last].is_empty() {
                        continue;
                    }
                    text += &" ".repeat(BELOW);
                    (BELOW, width.saturating_sub(BELOW))
                }
                _ => (indent, room),
            };
            for (index, line) in wrap(&row[last], room).iter().enumerate() {
                if index > 0 {
                    text += &" ".repeat(indent);
                }
                text += line;
                end_line(&mut text);
            }
        }
        text
    }
}

/// The last column is not narrower than this.
const MIN_LAST: usize = 16;

/// How far it is indented if it is below the others.
const BELOW: usize = 4;

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Breaks a text at its spaces into lines of at most `room` characters, unless a word is longer.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if length(line) + 1 + length(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            ("NAME", Side::Left),
            ("N", Side::Right),
            ("USED BY", Side::Left),
        ]);
        table.row(vec![
            "a".into(),
            "100".into(),
            "one two three four five".into(),
        ]);
        table.row(vec!["long-name".into(), "2".into(), "".into()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table().render(None),
            "\
NAME         N  USED BY
a          100  one two three four five
long-name    2
"
        );
    }

    #[test]
    fn the_last_column_is_wrapped() {
        assert_eq!(
            table().render(Some(33)),
            "\
NAME         N  USED BY
a          100  one two three
                four five
long-name    2
"
        );
    }

    #[test]
    fn a_narrow_terminal() {
        assert_eq!(
            table().render(Some(20)),
            "\
NAME         N
    USED BY
a          100
    one two three
    four five
long-name    2
"
        );
        // Too narrow for anything.
        assert!(table().render(Some(1)).contains("\n    one\n    two\n"));
    }

    #[test]
    fn long_words_are_not_broken() {
        assert_eq!(wrap("aaaa b c", 2), ["aaaa", "b", "c"]);
        assert_eq!(wrap("", 2), [""]);
    }
}
