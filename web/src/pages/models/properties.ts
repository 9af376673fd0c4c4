import type { Properties, Property } from "../../api/models";
import { valueText } from "../../ui/format";

/** A property as one line of text. */
export function propertyText(property: Property): string {
  const { metadataType: _, ...members } = property;
  return valueText(Object.values(members)[0]);
}

/** Text as the property that it looks like: true and false, numbers, and else a text. */
export function propertyOf(text: string): Property {
  if (text === "true" || text === "false") return { metadataType: "MetadataBoolValue", bool_value: text === "true" };
  if (/^-?\d{1,18}$/.test(text)) return { metadataType: "MetadataIntValue", int_value: text };
  if (/^-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) && Number.isFinite(Number(text)))
    return { metadataType: "MetadataDoubleValue", double_value: Number(text) };
  return { metadataType: "MetadataStringValue", string_value: text };
}

export const without = (properties: Properties, name: string): Properties =>
  Object.fromEntries(Object.entries(properties).filter(([other]) => other !== name));
