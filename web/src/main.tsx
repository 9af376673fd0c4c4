import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter, RouterProvider } from "react-router";
import { ApiError } from "./api/client";
import { LiveUpdates } from "./api/stream";
import { addressOf } from "./app/oldAddresses";
import { routes } from "./app/routes";
import { applyTheme } from "./app/theme";
import { Translations } from "./i18n";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/components.css";

applyTheme();

// The addresses that the kfp package prints are those of the reference's own pages.
const moved = addressOf(window.location.hash);
if (moved) window.history.replaceState(null, "", moved);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What is fetched stays true until the event stream says otherwise.
      staleTime: Number.POSITIVE_INFINITY,
      refetchOnWindowFocus: false,
      // A refusal will not change by asking again; an unreachable server may come back.
      retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < 2,
    },
  },
});
const live = new LiveUpdates(queries);
live.start();
const router = createBrowserRouter(routes(live));

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Translations>
          <RouterProvider router={router} />
        </Translations>
      </QueryClientProvider>
    </StrictMode>,
  );
