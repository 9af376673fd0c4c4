import type { ReactNode } from "react";
import { Tabs as AriaTabs, Tab, TabList, TabPanel } from "react-aria-components";

export interface TabEntry {
  id: string;
  label: string;
  /** The panel fills the height and scrolls what is in it itself. */
  flush?: boolean;
  content(): ReactNode;
}

interface Props {
  label: string;
  tabs: TabEntry[];
  selected: string;
  onSelect(id: string): void;
}

/** Only the panel that is seen is made. */
export function Tabs({ label, tabs, selected, onSelect }: Props) {
  const known = tabs.some(({ id }) => id === selected) ? selected : tabs[0]?.id;
  return (
    <AriaTabs className="tabs" selectedKey={known} onSelectionChange={(key) => onSelect(String(key))}>
      <TabList className="tab-list" aria-label={label}>
        {tabs.map(({ id, label: name }) => (
          <Tab key={id} id={id} className="tab">
            {name}
          </Tab>
        ))}
      </TabList>
      {tabs.map(({ id, content, flush }) => (
        <TabPanel key={id} id={id} className={flush ? "tab-panel flush" : "tab-panel"}>
          {id === known && content()}
        </TabPanel>
      ))}
    </AriaTabs>
  );
}
