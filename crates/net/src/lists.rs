//! Many short lists in two long ones: what is around each node, without asking for memory for each.

#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Where each list begins, and where the last one ends.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Sorts pairs of a list and an item into lists; items keep the order of the pairs.
    pub fn of(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Lists {
        let mut starts = vec![0; count + 1];
        pairs.clone().for_each(|(list, _)| starts[list as usize + 1] += 1);
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut items = vec![0; starts[count] as usize];
        let mut next = starts.clone();
        for (list, item) in pairs {
            let at = &mut next[list as usize];
            items[*at as usize] = item;
            *at += 1;
        }
        Lists { starts, items }
    }

    pub fn get(&self, list: u32) -> &[u32] {
        let at = list as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    pub fn count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Returns every list with its number, item by item.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + Clone + '_ {
        let lists = 0..self.count() as u32;
        lists.flat_map(|list| self.get(list).iter().map(move |item| (list, *item)))
    }

    /// Adds a list at the end.
    pub fn push(&mut self, items: impl Iterator<Item = u32>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.items.extend(items);
        self.starts.push(self.items.len() as u32);
    }
}
