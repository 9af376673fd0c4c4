import ReactMarkdown from "react-markdown";
import remarkGfm from "remark-gfm";

/** Markdown as elements: HTML in it is shown as text, links lead only to the web, and images of other machines aren't fetched. */
export default function Markdown({ text }: { text: string }) {
  return (
    <div className="markdown">
      <ReactMarkdown
        remarkPlugins={[remarkGfm]}
        components={{
          a: ({ href, children }) => (
            <a href={href} rel="noopener noreferrer nofollow" target="_blank">
              {children}
            </a>
          ),
          img: ({ src, alt }) =>
            typeof src === "string" && src.startsWith("data:image/") ? (
              <img src={src} alt={alt ?? ""} />
            ) : (
              (alt ?? null)
            ),
        }}
      >
        {text}
      </ReactMarkdown>
    </div>
  );
}
