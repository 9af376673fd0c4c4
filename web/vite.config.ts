import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// PENSTOCK_SERVER: where `npm run dev` finds the server.
const server = process.env.PENSTOCK_SERVER ?? "http://127.0.0.1:8080";
const proxied = ["/apis", "/api", "/openapi.json", "/artifacts/get", "/version", "/healthz", "/readyz"];

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The Content-Security-Policy allows no data: scripts, and small files are cheap over loopback.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, { target: server }])) },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
