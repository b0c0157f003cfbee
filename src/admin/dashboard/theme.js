// Before anything is drawn, so that no dark room is lit up for a moment.
document.documentElement.dataset.theme = localStorage.getItem("tidegate-theme") ?? "auto";
