interface Option {
  id: string;
  label: string;
}

interface Props {
  label: string;
  value: string;
  options: Option[];
  onChange(value: string): void;
}

/** One of a few, in a toolbar: its label is read out. */
export function Select({ label, value, options, onChange }: Props) {
  return (
    <select
      className="input select"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map(({ id, label: text }) => (
        <option key={id} value={id}>
          {text}
        </option>
      ))}
    </select>
  );
}
