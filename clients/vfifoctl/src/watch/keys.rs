// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! What the keys of `vfifoctl watch` do.

use super::rates::Order;
use super::screen::Action;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What that key does, if anything.
pub fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Action::Quit,
        KeyCode::Char('n') => Action::Order(Order::Name),
        KeyCode::Char('f') => Action::Order(Order::Fill),
        KeyCode::Char('r') => Action::Order(Order::Rate),
        KeyCode::Char('s') => Action::Order(Order::Sleeps),
        KeyCode::Char('g') => Action::Graph,
        KeyCode::Up | KeyCode::Char('k') => Action::Lines(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Lines(1),
        KeyCode::PageUp => Action::Pages(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Action::Pages(1),
        KeyCode::Home => Action::First,
        KeyCode::End => Action::Last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode) -> Option<Action> {
        action(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys() {
        assert_eq!(press(KeyCode::Char('q')), Some(Action::Quit));
        assert_eq!(press(KeyCode::Esc), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('r')), Some(Action::Order(Order::Rate)));
        assert_eq!(press(KeyCode::PageDown), Some(Action::Pages(1)));
        assert_eq!(press(KeyCode::Char('x')), None);
        let control = |letter| action(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
        assert_eq!(control('c'), Some(Action::Quit));
        assert_eq!(control('q'), None);
    }

    #[test]
    fn releases_are_not_presses() {
        let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(action(key), None);
    }
}
