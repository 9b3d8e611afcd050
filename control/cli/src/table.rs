//! Aligned columns, and long sentences folded.

use std::fmt;

use loadlock_api::printable;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Words that only `-o wide` shows.
    Wide,
}

/// Rows of cells, each column as wide as its widest cell: nothing is cut, a long line is left to the terminal.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    wide: bool,
}

impl Table {
    /// An empty table with these titles.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), wide: false }
    }

    /// Shows every column, or leaves out those that only a wide one has.
    pub fn wide(mut self, wide: bool) -> Self {
        self.wide = wide;
        self
    }

    /// Adds a row; hidden characters in it become visible.
    pub fn row<const CELLS: usize>(&mut self, cells: [String; CELLS]) {
        debug_assert_eq!(CELLS, self.columns.len());
        self.rows.push(cells.map(|cell| printable(&cell).into_owned()).into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let rows = || std::iter::once(&titles).chain(&self.rows);
        let width =
            |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in rows() {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                match align {
                    Align::Wide if !self.wide => {}
                    Align::Left | Align::Wide => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Columns of text beside which a sentence is folded.
const FOLD_COLUMNS: usize = 96;

/// A sentence behind `mark`, folded between words to lines of at most 96 characters; the next lines stand under its beginning.
pub fn folded(mark: &str, sentence: &str) -> String {
    folded_to(mark, sentence, FOLD_COLUMNS)
}

/// The same to lines of at most so many characters; only a word that is longer by itself sticks out.
pub fn folded_to(mark: &str, sentence: &str, columns: usize) -> String {
    let indent = mark.chars().count();
    let mut text = mark.to_owned();
    let mut column = indent;
    let mut is_first = true;
    for word in printable(sentence).split(' ') {
        let width = word.chars().count();
        if !is_first && column + 1 + width > columns {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if !is_first {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
        is_first = false;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.row(["a".to_owned(), "1,000".to_owned()]);
        table.row(["längste →".to_owned(), "7".to_owned()]);
        assert_eq!(table.to_string(), "NAME           N\na          1,000\nlängste →      7\n");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::new(&[("NAME", Align::Left)]);
        table.row(["\u{1b}[2J\nx".to_owned()]);
        assert_eq!(table.to_string(), "NAME\n\\u{1b}[2J\\u{a}x\n");
    }

    #[test]
    fn a_long_sentence_is_folded_under_its_beginning() {
        let text = folded("! ", &"word ".repeat(40));
        for line in text.lines() {
            assert!(line.chars().count() <= FOLD_COLUMNS, "{line}");
        }
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")), "{text}");
        assert_eq!(folded("! ", &"x".repeat(200)), format!("! {}\n", "x".repeat(200)));
    }
}
